"""Every answer of `/openapi.json` shows an example, and each one is an answer that its schema allows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.answer_schemas import AcceptedAnswer, ErrorAnswer, FailedAnswer, SucceededAnswer
from gateway.chat.openapi import ChatCompletionAnswer, ModelAnswer, ModelsAnswer, OpenAIErrorAnswer
from gateway.error_responses import OPENAI_PREFIX, STATUS_OF_CODE
from gateway.main import create_app
from gateway.openapi_examples import OPENAI
from gateway.settings import GatewaySettings
from shared.domain.errors import ErrorCode

DOCUMENT: dict[str, Any] = create_app(GatewaySettings(_env_file=None)).openapi()
_REPORTS = ("/.well-known/jwks.json", "/health", "/health/live", "/health/ready", "/stats")
ANSWER: TypeAdapter[Any] = TypeAdapter(
    AcceptedAnswer
    | SucceededAnswer
    | FailedAnswer
    | ErrorAnswer
    | OpenAIErrorAnswer
    | ModelAnswer
    | ModelsAnswer
    | ChatCompletionAnswer
)


def answers() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                yield f"{method} {path}", status, answer.get("content", {}).get("application/json", {})


def test_every_answer_of_a_job_and_every_error_has_an_example() -> None:
    without = {
        (call, status)
        for call, status, content in answers()
        if content and "examples" not in content and status != "4XX"
    }
    assert {call for call, _ in without} == {f"get {path}" for path in _REPORTS}
    assert {status for _, status in without} == {"200", "503"}


@pytest.mark.parametrize(("call", "status", "content"), list(answers()))
def test_an_example_is_an_answer_of_its_status(call: str, status: str, content: dict[str, Any]) -> None:
    assert call.split()[1] in DOCUMENT["paths"]
    for name, example in content.get("examples", {}).items():
        ANSWER.validate_json(json.dumps(example["value"]))
        if name in ErrorCode.__members__:
            assert STATUS_OF_CODE[ErrorCode(name)] == int(status)
            assert example["value"]["error"]["error_code"] == name
        if "error" in example["value"] and call.split()[1].startswith(OPENAI_PREFIX):
            code = name.removeprefix(OPENAI)
            assert STATUS_OF_CODE[ErrorCode(code)] == int(status)
            OpenAIErrorAnswer.model_validate(example["value"])


def test_the_examples_of_submitting_are_all_that_can_happen_there() -> None:
    shown = {
        name
        for call, _, content in answers()
        if call == "post /invoke"
        for name in content.get("examples", {})
    }
    elsewhere = {
        "NOT_FOUND",
        "GONE",
        "ALREADY_FINISHED",
        "STILL_RUNNING",
        "UNSUPPORTED_SCHEMA",
        "INVALID_SEALED_KEY",
    }
    assert shown == {*ErrorCode.__members__, "succeeded", "accepted"} - elsewhere
