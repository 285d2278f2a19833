"""Prompts and answers are in the log only where the operator asked for it, and keys not even there."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.conftest import provider_settings
from tests.e2e.test_lifecycle import until
from tests.support.provider_process import ScriptedProvider
from tests.support.service_processes import Service, logged, one_process

KEY = "sk-CANARY-1f0e9d8c7b6a5f4e3d2c"


def ask(url: str, prompt: str, **more: object) -> dict[str, Any]:
    body = {"request_id": str(uuid4()), "user_prompt": prompt, "openai_api_key": KEY, **more}
    answer: dict[str, Any] = httpx.post(f"{url}/invoke", json=body, timeout=60).json()
    return answer


def test_a_log_has_no_content(memory_only: Service) -> None:
    prompt = f"private {uuid4()}"
    answer = ask(memory_only.url, prompt)
    until(lambda: answer["request_id"] in memory_only.child.log())  # the line follows the answer
    for content in (prompt, answer["data"]["response"], KEY):
        assert content not in memory_only.child.log()


def test_with_log_content_it_has_but_no_key(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = {"REDIS_ENABLED": "false", "LLM_LOG_CONTENT": "true", **provider_settings(provider)}
    with one_process(tmp_path, **settings) as service:
        # Given a question that holds a key, and one that fails
        prompt = f"private {uuid4()} {KEY}"
        answer = ask(service.url, prompt)
        failed = ask(service.url, f"{uuid4()} [[status=400]]")
        # Then each call is in the log with what was asked and what came back
        lines: dict[Any, Any] = {line["request_id"]: line for line in logged(service.child, "call_content")}
        [message] = lines[answer["request_id"]]["messages"]
        assert message["content"] == prompt.replace(KEY, "sk-...")
        told = answer["data"]["message"]["content"].replace(KEY, "sk-...")
        assert lines[answer["request_id"]]["answer"]["content"] == told
        assert lines[failed["request_id"]]["error_code"] == "UPSTREAM_REJECTED"
        [warning] = logged(service.child, "content_is_logged")
        assert warning["variable"] == "LLM_LOG_CONTENT"
        # And neither the key, nor any content where events and figures are
        assert KEY not in service.child.log()
        events = (tmp_path / "one-process.jsonl").read_text()
        assert answer["request_id"] in events
        assert "private" not in events + httpx.get(f"{service.url}/metrics").text
