"""Another model answers when the one that was asked for is away, and everybody can see which one spoke."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import provider_settings
from tests.support.event_stream import events_of, text_of
from tests.support.provider_process import ScriptedProvider
from tests.support.service_processes import Service, one_process

ASKED, NEXT, LAST = "gpt-4o", "gpt-4o-mini", "my-own-model"
ATTEMPTS = 2


@pytest.fixture(scope="module")
def service(_provider: ScriptedProvider, module_folder: Path) -> Iterator[Service]:
    settings = provider_settings(_provider) | {
        "REDIS_ENABLED": "false",
        "LLM_FALLBACK_MODELS": f"{NEXT},{LAST}",
        "LLM_PRICES": '{"gpt-4o": {"input": 1000, "output": 1000}, "gpt-4o-mini": {"input": 1, "output": 1}}',
        "WORKER_MAX_ATTEMPTS": f"{ATTEMPTS}",
        "WORKER_READ_TIMEOUT_SECONDS": "1",
        "WORKER_BREAKER_FAILURES": "0",  # these tests let the same model fail again and again
    }
    with one_process(module_folder, **settings) as running:
        yield running


def ask(service: Service, prompt: str, **body: Any) -> httpx.Response:
    body = {"user_prompt": prompt, "model": ASKED, "temperature": 0, **body}
    return httpx.post(f"{service.url}/invoke", json=body, timeout=60)


def models_called(provider: ScriptedProvider, prompt: str) -> list[str]:
    return [call.parameters["model"] for call in provider.calls_of(prompt)]


@pytest.mark.parametrize(
    ("directive", "called"),
    [
        ("status=404 code=model_not_found times=1", [ASKED, NEXT]),
        ("status=503 times=2", [ASKED, ASKED, NEXT]),
        ("status=503 times=4", [ASKED, ASKED, NEXT, NEXT, LAST]),
    ],
)
def test_the_next_model_answers_and_says_so(
    service: Service, provider: ScriptedProvider, directive: str, called: list[str]
) -> None:
    prompt = f"{uuid4()} [[{directive}]]"
    answer = ask(service, prompt).json()
    assert (answer["success"], answer["model"], answer["data"]["response"]) == (
        True,
        called[-1],
        f"echo: {prompt}",
    )
    assert models_called(provider, prompt) == called
    assert answer["performance"]["attempts"] == len(called)
    if called[-1] == NEXT:  # what it cost is by the price of who spoke
        assert answer["cost_usd"] == pytest.approx(answer["usage"]["total_tokens"] / 1_000_000)
    # And every call was told, with the model that was asked for
    facts = [fact for fact in events(service) if fact["request_id"] == answer["request_id"]]
    calls = [fact for fact in facts if fact["event"] == "provider_called"]
    assert [(fact["attempt"], fact["model"]) for fact in calls] == list(enumerate(called, 1))
    assert [fact["fallback_for"] for fact in calls] == [None if model == ASKED else ASKED for model in called]
    # And who asks the same again asks the model that was named
    again = ask(service, prompt).json()
    assert (again["cached"], again["model"]) == (False, ASKED)


def events(service: Service) -> list[dict[str, Any]]:
    path = service.child.log_path.with_name("one-process.jsonl")
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_openais_clients_get_it_too(service: Service, provider: ScriptedProvider) -> None:
    prompt = f"{uuid4()} [[status=503 times=2]]"
    body = {"model": ASKED, "messages": [{"role": "user", "content": prompt}], "max_tokens": 5}
    answer = httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=60).json()
    assert answer["model"] == NEXT
    calls = provider.calls_of(prompt)
    assert [call.parameters for call in calls] == [
        {"model": model, "max_tokens": 5, "stream": False} for model in (ASKED, ASKED, NEXT)
    ]


def test_a_stream_begins_anew_with_the_next_model(service: Service) -> None:
    prompt = f"{uuid4()} [[status=503 times=2]]"
    body = {"user_prompt": prompt, "model": ASKED, "stream": True}
    with httpx.stream("POST", f"{service.url}/invoke", json=body, timeout=60) as response:
        *pieces, result = events_of(response.iter_lines())
    assert text_of(pieces) == result.data["data"]["response"] == f"echo: {prompt}"
    assert result.data["model"] == NEXT
    assert [piece.data["attempt"] for piece in pieces if piece.name == "retrying"] == [2, 3]


@pytest.mark.parametrize(
    ("directive", "status", "calls"),
    [
        ("status=400", 400, 1),
        ("status=400 code=context_length_exceeded", 400, 1),
        ("status=400 code=content_policy_violation", 400, 1),
        ("status=401", 401, 1),
        ("status=429 retry_after=0", 429, ATTEMPTS),
    ],
)
def test_what_the_provider_refuses_no_other_model_is_asked(
    service: Service, provider: ScriptedProvider, directive: str, status: int, calls: int
) -> None:
    prompt = f"{uuid4()} [[{directive}]]"
    assert ask(service, prompt).status_code == status
    assert models_called(provider, prompt) == [ASKED] * calls


def test_an_unknown_outcome_is_not_repeated_with_another_model(
    service: Service, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[hang]]"
    answer = ask(service, prompt, on_unknown="fail")
    assert (answer.status_code, answer.json()["error"]["error_code"]) == (503, "UNKNOWN_OUTCOME")
    assert models_called(provider, prompt) == [ASKED]


def test_where_all_are_away_the_failure_is_that_of_the_model_that_was_asked_for(
    service: Service, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[status=503]]"
    answer = ask(service, prompt)
    assert (answer.status_code, answer.json()["error"]["error_code"]) == (503, "UPSTREAM_UNAVAILABLE")
    assert models_called(provider, prompt) == [ASKED, ASKED, NEXT, NEXT, LAST, LAST]


def test_what_may_be_asked_for_is_as_before(service: Service) -> None:
    answer = ask(service, "x", model=LAST)
    assert (answer.status_code, answer.json()["error"]["error_code"]) == (400, "UNSUPPORTED_MODEL")


def test_they_are_counted(service: Service) -> None:
    ask(service, f"{uuid4()} [[status=503 times=2]]")
    figures = httpx.get(f"{service.url}/metrics").text
    assert f'llm_fallbacks_total{{answered_by="{NEXT}",model="{ASKED}"}}' in figures
