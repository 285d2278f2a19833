"""Bad input gets a clear error, loses nothing and echoes no secret."""

import json
from uuid import uuid4

import httpx
import pytest

from tests.support.provider_process import ScriptedProvider

CANARY = "not-a-key-CANARY-1234567890"


def raw(**body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{nope", "INVALID_JSON", None),
        (b"\xff\xfe", "INVALID_JSON", None),
        (b"[]", "INVALID_JSON", None),
        (b"", "INVALID_JSON", None),
        (raw(), "MISSING_FIELD", "user_prompt"),
        (raw(user_prompt="x", surprise=1), "UNKNOWN_FIELD", "surprise"),
        (raw(user_prompt=""), "INVALID_FIELD", "user_prompt"),
        (raw(user_prompt=" \n\u200b"), "INVALID_FIELD", "user_prompt"),
        (
            raw(user_prompt="x", system_prompt="a", messages=[{"type": "system", "content": "b"}]),
            "INVALID_FIELD",
            "system_prompt",
        ),
        (raw(user_prompt="x", request_id="12345"), "INVALID_FIELD", "request_id"),
        (raw(user_prompt="x", temperature="hot"), "INVALID_FIELD", "temperature"),
        (raw(user_prompt="x", temperature=3), "INVALID_FIELD", "temperature"),
        (raw(user_prompt="x", max_tokens=0), "INVALID_FIELD", "max_tokens"),
        (raw(user_prompt="x", openai_api_key=CANARY), "INVALID_API_KEY", "openai_api_key"),
        (raw(user_prompt="x", openai_api_key=[CANARY]), "INVALID_FIELD", "openai_api_key"),
        (raw(user_prompt="x", model="gpt-9"), "UNSUPPORTED_MODEL", "model"),
        (raw(messages=[{"type": "boss", "content": "x"}]), "INVALID_FIELD", "messages.0.type"),
        (raw(user_prompt="x", deadline_seconds=0), "INVALID_FIELD", "deadline_seconds"),
        (raw(user_prompt="x", on_unknown="maybe"), "INVALID_FIELD", "on_unknown"),
    ],
)
def test_an_invalid_body_is_400_and_names_the_field(
    http: httpx.Client, provider: ScriptedProvider, body: bytes, code: str, field: str | None
) -> None:
    response = http.post("/invoke", content=body)
    assert response.status_code == 400
    answer = response.json()
    assert (answer["success"], answer["error"]["error_code"], answer["error"]["field"]) == (
        False,
        code,
        field,
    )
    assert set(answer["error"]) >= {"error_type", "error_code", "message", "field", "details", "retryable"}
    assert "CANARY" not in response.text
    assert provider.count() == 0


def test_the_seeds_error_for_a_key_of_the_wrong_form(http: httpx.Client) -> None:
    response = http.post("/invoke", content=raw(user_prompt="x", openai_api_key=CANARY))
    error = response.json()["error"]
    assert error["error_type"] == "validation_error"
    assert error["message"] == "Invalid OpenAI API key format"
    assert error["details"] == {"expected_format": "sk-..."}


def test_a_validation_failure_never_claims_the_id(http: httpx.Client) -> None:
    request_id = str(uuid4())
    assert http.post("/invoke", content=raw(user_prompt="", request_id=request_id)).status_code == 400
    assert http.post("/invoke", content=raw(user_prompt="now", request_id=request_id)).status_code == 200


def test_a_body_of_two_megabytes_is_413(http: httpx.Client) -> None:
    body = raw(user_prompt="x" * 2_000_000)
    assert http.post("/invoke", content=body).status_code == 413

    def chunks() -> object:
        yield from (body[start : start + 65_536] for start in range(0, len(body), 65_536))

    # And one that does not say how long it is
    chunked = http.post("/invoke", content=chunks())  # type: ignore[arg-type]
    assert (chunked.status_code, chunked.json()["error"]["error_code"]) == (413, "BODY_TOO_LARGE")


def test_header_and_body_that_name_different_ids_are_refused(http: httpx.Client) -> None:
    response = http.post(
        "/invoke",
        json={"user_prompt": "x", "request_id": str(uuid4())},
        headers={"Idempotency-Key": str(uuid4())},
    )
    assert (response.status_code, response.json()["error"]["error_code"]) == (400, "REQUEST_ID_MISMATCH")


def test_the_idempotency_key_header_names_the_request(http: httpx.Client) -> None:
    key = str(uuid4())
    response = http.post("/invoke", json={"user_prompt": "x"}, headers={"Idempotency-Key": f'"{key}"'})
    assert response.json()["request_id"] == key


def test_unknown_paths_and_methods_have_the_same_error_body(http: httpx.Client) -> None:
    assert http.get("/nowhere").json()["error"]["error_code"] == "NOT_FOUND"
    assert http.get("/invoke").json()["error"]["error_code"] == "METHOD_NOT_ALLOWED"
