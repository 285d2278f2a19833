"""No key and no OPENAI_BASE_URL: who answers then."""

import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.jobs import make_job
from tests.support.ports import free_port
from tests.support.processes import start, wait_for_line, wait_until
from tests.support.provider_process import ScriptedProvider
from tests.support.service_processes import ROOT, clean_environment, logged, one_process
from worker.llm.keyless_client import KeylessClient, LocalModelAwayError, wait_for_local_model
from worker.llm.local_model import LOCAL_MODEL
from worker.llm.openai_client import connect_openai_client

KEY = "sk-of-the-caller"
_WITHOUT_MODEL = (
    "import sys, runpy; sys.modules['xllamacpp'] = None; runpy.run_path(sys.argv.pop(), run_name='__main__')"
)


def ask(url: str, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.post(
        f"{url}/invoke", json={"user_prompt": "hello", **body}, timeout=60
    ).json()
    return answer


def test_the_local_model_that_is_named_answers_in_place_of_every_other(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = {"WORKER_LOCAL_MODEL_URL": provider.base_url, "REDIS_ENABLED": "false"}
    with one_process(tmp_path, **settings) as service:
        assert f"the local model at {provider.base_url} answers" in service.child.log()
        answer = ask(service.url, model="gpt-4o")
    # It says who spoke, and takes no other model's price for it
    assert answer["data"]["response"] == "echo: hello"
    assert (answer["model"], answer["cost_usd"]) == (LOCAL_MODEL, None)
    [call] = provider.ledger()
    assert call.parameters["model"] == LOCAL_MODEL


async def test_a_job_that_brings_a_key_goes_to_the_provider(provider: ScriptedProvider) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    async with (
        connect_openai_client(
            provider.base_url, None, connect_timeout_seconds=5, read_timeout_seconds=5
        ) as real,
        connect_openai_client(nobody, None, connect_timeout_seconds=5, read_timeout_seconds=5) as local,
    ):
        completion = await KeylessClient(real, local).complete(make_job(openai_api_key=KEY), 1)
    assert completion.model == "gpt-4o-mini"


async def test_who_waits_for_a_local_model_in_vain_says_what_to_set() -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(
        LocalModelAwayError, match=f"no local model at WORKER_LOCAL_MODEL_URL={nobody}: set one"
    ):
        await wait_for_local_model(nobody, timeout_seconds=0)


def test_without_the_model_only_callers_with_keys_are_answered(tmp_path: Path) -> None:
    # Given an installation without the local model
    port = free_port()
    env = clean_environment(
        LLM_PORT=str(port), LLM_LOG_FILE=str(tmp_path / "events.jsonl"), REDIS_ENABLED="false"
    )
    command = [sys.executable, "-c", _WITHOUT_MODEL, str(ROOT / "main.py")]
    with start(command, log_path=tmp_path / "service.log", env=env, cwd=tmp_path) as child:
        wait_until(child, lambda: "gateway_ready" in child.log(), "gateway_ready", 60)
        # Then it says so, and means it
        assert "only requests with an openai_api_key of their own" in child.log()
        answer = ask(f"http://127.0.0.1:{port}")
    assert answer["error"]["error_code"] == "MISSING_API_KEY"


def test_a_system_without_the_models_library_is_told_what_to_install(tmp_path: Path) -> None:
    # Given the package, on a system that lacks what it is linked to
    reason = "libgomp.so.1: cannot open shared object file"
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({reason!r})\n")
    env = clean_environment(
        LLM_PORT="0",
        LLM_LOG_FILE=str(tmp_path / "events.jsonl"),
        REDIS_ENABLED="false",
        PYTHONPATH=f"{tmp_path}:{ROOT}",
    )
    with start(
        [sys.executable, str(ROOT / "main.py")], log_path=tmp_path / "service.log", env=env, cwd=tmp_path
    ) as child:
        # When the service starts, then it ends, and its line has no traceback
        assert child.wait(timeout_seconds=60) != 0
        [line] = logged(child, "gateway_failed")
    fault = str(line["fault"])
    assert fault.startswith(f"RuntimeError: the local model did not start: {reason} (Debian")
    assert "apt-get install libgomp1; or set OPENAI_API_KEY" in fault


def test_the_local_model_serves_by_itself_until_it_is_told_to_end(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "worker.llm.local_model", "--port", str(port)]
    with start(command, log_path=tmp_path / "model.log", env=clean_environment(), cwd=tmp_path) as child:
        wait_for_line(child, "listening on", 60)
        models = httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=30).json()
        assert [model["id"] for model in models["data"]] == [LOCAL_MODEL]
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout_seconds=15) == 0
