"""The body of `/invoke`, row by row of the contract's table, and what is said of a wrong one."""

import json
import traceback
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared.domain.errors import ErrorCode, InvalidRequest
from shared.domain.invoke_body import InvokeBody
from shared.domain.job import ANY_MODEL, JobId, ModelDefaults, job_from_body
from shared.domain.validation import parse_invoke_body

REQUEST_ID = "6f0a1c2e-7b3d-4e5f-8a9b-0c1d2e3f4a5b"
PROMPT = {"user_prompt": "What is the capital of France?"}
DEFAULTS = ModelDefaults("gpt-4o-mini", 0.7, 1000, ("gpt-4o-mini", "gpt-4o"))
CANARY = "sk-canary-0123456789"

INVALID, MISSING = ErrorCode.INVALID_FIELD, ErrorCode.MISSING_FIELD


def parse(**fields: Any) -> InvokeBody:
    return parse_invoke_body(orjson.dumps(fields))


def refusal(raw: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse_invoke_body(raw)
    return refused.value


def refusal_of(**fields: Any) -> InvalidRequest:
    return refusal(orjson.dumps(fields))


# --- The table ---


def test_a_prompt_is_all_it_takes() -> None:
    body = parse(**PROMPT)
    assert (body.request_id, body.openai_api_key, body.model, body.metadata) == (None, None, None, None)
    assert (body.deadline_seconds, body.on_unknown) == (600, "retry")


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": REQUEST_ID},
        {"user_prompt": "."},
        {"user_prompt": "\n  x"},
        {"user_prompt": "世"},
        {"user_prompt": "👩‍🚀"},
        {"system_prompt": "Be brief."},
        {"system_prompt": None},
        {"openai_api_key": "sk-a"},
        {"openai_api_key": "sk-proj-" + "A_-9" * 40},
        {"model": "gpt-4o"},
        {"temperature": 0},
        {"temperature": 2},
        {"temperature": 0.5},
        {"max_tokens": 1},
        {"top_p": 0},
        {"top_p": 1.0},
        {"stop": "END"},
        {"stop": ["a", "b", "c", "d"]},
        {"seed": -1},
        {"seed": 2**63 - 1},
        {"seed": -(2**63)},
        {"presence_penalty": -2},
        {"presence_penalty": 2},
        {"frequency_penalty": -2},
        {"frequency_penalty": 2},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tool_choice": "auto"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"reasoning_effort": "low"},
        {"deadline_seconds": 1},
        {"deadline_seconds": 3600},
        {"deadline_seconds": 1.5},
        {"on_unknown": "fail"},
        {"metadata": {}},
        {"metadata": {f"name {number}": "x" * 512 for number in range(16)}},
        {"metadata": {"n" * 64: ""}},
    ],
    ids=str,
)
def test_what_the_contract_allows_is_accepted(fields: dict[str, Any]) -> None:
    body = parse(**(PROMPT | fields))
    for name, value in fields.items():
        read = body.model_dump(mode="json")[name]
        assert read == ("**********" if name == "openai_api_key" else value)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"request_id": "42"}, INVALID, "request_id"),
        ({"request_id": 42}, INVALID, "request_id"),
        ({"request_id": ""}, INVALID, "request_id"),
        ({"user_prompt": None}, MISSING, "user_prompt"),
        ({"user_prompt": ""}, INVALID, "user_prompt"),
        ({"user_prompt": " \t\n\u00a0\u3000"}, INVALID, "user_prompt"),
        ({"user_prompt": "\u200b\u2060\ufeff\u0000"}, INVALID, "user_prompt"),
        ({"user_prompt": 1}, INVALID, "user_prompt"),
        ({"user_prompt": ["hi"]}, INVALID, "user_prompt"),
        ({"system_prompt": " "}, INVALID, "system_prompt"),
        ({"messages": []}, INVALID, "messages"),
        ({"messages": "hi"}, INVALID, "messages"),
        ({"model": ""}, INVALID, "model"),
        ({"model": "m" * 201}, INVALID, "model"),
        ({"model": 4}, INVALID, "model"),
        ({"temperature": -0.1}, INVALID, "temperature"),
        ({"temperature": 2.1}, INVALID, "temperature"),
        ({"temperature": "0.5"}, INVALID, "temperature"),
        ({"temperature": True}, INVALID, "temperature"),
        ({"max_tokens": 0}, INVALID, "max_tokens"),
        ({"max_tokens": 10_000_001}, INVALID, "max_tokens"),
        ({"max_tokens": 1.5}, INVALID, "max_tokens"),
        ({"max_tokens": "1"}, INVALID, "max_tokens"),
        ({"top_p": 1.1}, INVALID, "top_p"),
        ({"stop": []}, INVALID, "stop"),
        ({"stop": ["a", "b", "c", "d", "e"]}, INVALID, "stop"),
        ({"stop": 1}, INVALID, "stop"),
        ({"seed": 2**63}, INVALID, "seed"),
        ({"seed": 1.5}, INVALID, "seed"),
        ({"presence_penalty": 2.1}, INVALID, "presence_penalty"),
        ({"frequency_penalty": -2.1}, INVALID, "frequency_penalty"),
        ({"tools": {"type": "function"}}, INVALID, "tools"),
        ({"tools": ["f"]}, INVALID, "tools.0"),
        ({"tool_choice": 1}, INVALID, "tool_choice"),
        ({"response_format": "json"}, INVALID, "response_format"),
        ({"logprobs": 1}, INVALID, "logprobs"),
        ({"reasoning_effort": 1}, INVALID, "reasoning_effort"),
        ({"deadline_seconds": 0.9}, INVALID, "deadline_seconds"),
        ({"deadline_seconds": 3601}, INVALID, "deadline_seconds"),
        ({"deadline_seconds": None}, INVALID, "deadline_seconds"),
        ({"on_unknown": "ignore"}, INVALID, "on_unknown"),
        ({"metadata": {f"{number}": "" for number in range(17)}}, INVALID, "metadata"),
        ({"metadata": {"team": 1}}, INVALID, "metadata.team"),
        ({"metadata": {"team": "x" * 513}}, INVALID, "metadata.team"),
        ({"metadata": {"n" * 65: ""}}, INVALID, f"metadata.{'n' * 65}"),
        ({"metadata": ["team"]}, INVALID, "metadata"),
        ({"openai_api_key": "pk-1"}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": ""}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": "sk-"}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": "sk-a b"}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": "sk-a\n"}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": "sk-ключ"}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": "sk-" + "a" * 510}, ErrorCode.INVALID_API_KEY, "openai_api_key"),
        ({"openai_api_key": 1}, INVALID, "openai_api_key"),
        ({"surprise": 1}, ErrorCode.UNKNOWN_FIELD, "surprise"),
        ({"base_url": "http://evil.example"}, ErrorCode.UNKNOWN_FIELD, "base_url"),
        ({"extra_headers": {}}, ErrorCode.UNKNOWN_FIELD, "extra_headers"),
        ({"schema": 1}, ErrorCode.UNKNOWN_FIELD, "schema"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_the_contract_forbids_is_refused_by_name(
    fields: dict[str, Any], code: ErrorCode, field: str
) -> None:
    # When a body that is right but for one field comes
    error = refusal_of(**(PROMPT | fields)).error
    # Then the field is named, and asking again will not help
    assert (error.error_code, error.field) == (code, field)
    assert not error.retryable
    if code is not ErrorCode.INVALID_API_KEY:
        assert error.message.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", ErrorCode.INVALID_JSON),
        (b"{", ErrorCode.INVALID_JSON),
        (b"\xff\xfe", ErrorCode.INVALID_JSON),
        (b'{"user_prompt": "\xc3("}', ErrorCode.INVALID_JSON),
        (b'{"user_prompt": "\\ud800"}', ErrorCode.INVALID_JSON),
        (b"{'user_prompt': 'hi'}", ErrorCode.INVALID_JSON),
        (b"null", ErrorCode.INVALID_JSON),
        (b"[]", ErrorCode.INVALID_JSON),
        (b'"hi"', ErrorCode.INVALID_JSON),
        (b'{"user_prompt": "hi", "tools": ' + b"[" * 10_000, ErrorCode.INVALID_JSON),
        (b"{}", ErrorCode.MISSING_FIELD),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_not_a_json_object_with_a_prompt_is_refused(raw: bytes, code: ErrorCode) -> None:
    assert refusal(raw).error.error_code is code


def test_an_error_says_what_was_given_and_what_is_allowed() -> None:
    assert refusal_of(**PROMPT, temperature=3).error.details == {"le": 2.0, "value": 3}
    assert refusal_of(**PROMPT, on_unknown="x").error.details == {
        "expected": "'retry' or 'fail'",
        "value": "x",
    }
    allowed = (refusal_of(**PROMPT, surprise=1).error.details or {})["allowed"]
    assert isinstance(allowed, list)
    assert set(allowed) == set(InvokeBody.model_fields)


def test_a_long_wrong_value_is_not_repeated_whole() -> None:
    assert (refusal_of(**PROMPT, model="m" * 100_000).error.details or {})["value"] == "m" * 80


def test_the_id_of_an_invalid_body_is_told_if_it_can_be_read() -> None:
    assert refusal_of(**PROMPT, request_id=REQUEST_ID, temperature=3).request_id == REQUEST_ID
    assert refusal_of(**PROMPT, temperature=3).request_id is None
    assert refusal_of(**PROMPT, request_id="42").request_id is None
    assert refusal_of(**PROMPT, request_id=[REQUEST_ID]).request_id is None
    assert refusal(b"[]").request_id is None


@pytest.mark.parametrize(
    "spelling", [REQUEST_ID.upper(), REQUEST_ID.replace("-", ""), f"urn:uuid:{REQUEST_ID}"]
)
def test_one_id_has_one_spelling(spelling: str) -> None:
    assert parse(**PROMPT, request_id=spelling).request_id == UUID(REQUEST_ID)


def test_the_error_of_a_huge_number_can_be_written() -> None:
    error = refusal(b'{"user_prompt": "hi", "max_tokens": -100000000000000000000000}').error
    orjson.dumps(error.model_dump(mode="json"))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_are_not_json_are_refused(number: bytes) -> None:
    raw = b'{"user_prompt": "hi", "tools": [{"function": {"maximum": ' + number + b"}}]}"
    assert refusal(raw).error.error_code is ErrorCode.INVALID_JSON


def test_a_number_too_large_to_be_one_is_refused() -> None:
    refusal(b'{"user_prompt": "hi", "tools": [{"function": {"maximum": 1e999}}]}')


def test_words_that_look_like_such_numbers_are_words() -> None:
    prompt = "NaN, -Infinity and null"
    assert parse(user_prompt=prompt, metadata={"NaN": "Infinity"}).user_prompt == prompt


def test_a_long_unknown_name_is_not_repeated_whole() -> None:
    assert len(refusal_of(**PROMPT, **{"n" * 100_000: 1}).error.message) < 1000


def test_too_many_stop_words_are_told_as_that() -> None:
    message = refusal_of(**PROMPT, stop=["a", "b", "c", "d", "e"]).error.message
    assert "4" in message


# --- The conversation ---


def test_the_conversation_is_system_then_messages_then_prompt() -> None:
    body = parse(
        system_prompt="Be brief.",
        messages=[{"type": "human", "content": "hi"}, {"type": "ai", "content": "hello"}],
        user_prompt="And now?",
    )
    assert [(message.type, message.content) for message in body.conversation()] == [
        ("system", "Be brief."),
        ("human", "hi"),
        ("ai", "hello"),
        ("human", "And now?"),
    ]


@pytest.mark.parametrize(
    ("role", "type_"), [("system", "system"), ("user", "human"), ("assistant", "ai"), ("tool", "tool")]
)
def test_openais_roles_are_understood(role: str, type_: str) -> None:
    extra = {"tool_call_id": "1"} if role == "tool" else {}
    body = parse(messages=[{"role": role, "content": "x", **extra}])
    assert body == parse(messages=[{"type": type_, "content": "x", **extra}])


@pytest.mark.parametrize(
    "message",
    [
        {"type": "system", "content": "x"},
        {"type": "human", "content": ""},
        {"type": "human", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]},
        {"type": "human", "content": "x", "name": "anna"},
        {"type": "ai", "content": None, "tool_calls": [{"id": "1"}]},
        {"type": "ai", "content": "x", "tool_calls": [{"id": "1"}]},
        {"type": "tool", "content": "", "tool_call_id": "1"},
    ],
    ids=str,
)
def test_messages_of_every_kind_are_accepted_without_a_prompt(message: dict[str, Any]) -> None:
    [read] = parse(messages=[message]).conversation()
    assert read.model_dump(exclude_unset=True) == message


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ({"type": "user", "content": "x"}, INVALID, "messages.0.type"),
        ({"role": "critic", "content": "x"}, INVALID, "messages.0.type"),
        ({"role": None, "content": "x"}, INVALID, "messages.0.type"),
        ({"content": "x"}, MISSING, "messages.0.type"),
        ({"type": "human"}, MISSING, "messages.0"),
        ({"type": "ai", "tool_calls": []}, MISSING, "messages.0"),
        ({"type": "tool", "content": "x"}, MISSING, "messages.0"),
        ({"type": "human", "content": 1}, INVALID, "messages.0.content"),
        ({"type": "human", "content": "x", "role": "user"}, ErrorCode.UNKNOWN_FIELD, "messages.0.role"),
        ({"type": "human", "content": "x", "url": "x"}, ErrorCode.UNKNOWN_FIELD, "messages.0.url"),
        ("hi", INVALID, "messages.0"),
    ],
    ids=str,
)
def test_a_wrong_message_is_refused_by_its_place(message: object, code: ErrorCode, field: str) -> None:
    error = refusal_of(messages=[message]).error
    assert (error.error_code, error.field) == (code, field)


def test_two_system_prompts_are_refused() -> None:
    error = refusal_of(
        system_prompt="one", messages=[{"role": "system", "content": "two"}], user_prompt="hi"
    ).error
    assert (error.error_code, error.field) == (INVALID, "system_prompt")


# --- Defaults ---


def test_what_is_left_out_gets_the_services_defaults() -> None:
    job = job_from_body(parse(**PROMPT, request_id=REQUEST_ID), DEFAULTS)
    assert job.id == JobId("public", REQUEST_ID)
    assert (job.model, job.parameters.temperature, job.parameters.max_tokens) == ("gpt-4o-mini", 0.7, 1000)
    assert (job.deadline - job.created_at).total_seconds() == 600


def test_what_is_given_is_kept_even_if_it_is_zero() -> None:
    job = job_from_body(parse(**PROMPT, model="gpt-4o", temperature=0, max_tokens=1), DEFAULTS)
    assert (job.model, job.parameters.temperature, job.parameters.max_tokens) == ("gpt-4o", 0, 1)


def test_a_job_without_an_id_gets_one() -> None:
    first, second = (job_from_body(parse(**PROMPT), DEFAULTS) for _ in range(2))
    assert UUID(first.id.request_id) != UUID(second.id.request_id)


def test_a_model_that_is_not_served_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidRequest) as refused:
        job_from_body(parse(**PROMPT, model="gpt-0", request_id=REQUEST_ID), DEFAULTS)
    error = refused.value.error
    assert (error.error_code, error.field) == (ErrorCode.UNSUPPORTED_MODEL, "model")
    assert error.details == {"value": "gpt-0", "allowed": ["gpt-4o-mini", "gpt-4o"]}
    assert refused.value.request_id == REQUEST_ID


@pytest.mark.parametrize(("supported", "model"), [((ANY_MODEL,), "gpt-0"), ((), "gpt-4o-mini")])
def test_a_star_serves_every_model_and_the_default_is_always_served(
    supported: tuple[str, ...], model: str
) -> None:
    defaults = ModelDefaults("gpt-4o-mini", 0.7, 1000, supported)
    assert job_from_body(parse(**PROMPT, model=model), defaults).model == model


# --- The key ---


@pytest.mark.parametrize(
    "raw",
    [
        {"openai_api_key": CANARY, "temperature": 3},
        {"openai_api_key": CANARY, "user_prompt": " "},
        {"openai_api_key": CANARY, "user_prompt": None},
        {"openai_api_key": CANARY, "surprise": 1},
        {"openai_api_key": CANARY, "request_id": "42"},
        {"openai_api_key": f" {CANARY}"},
        {"openai_api_key": CANARY.removeprefix("sk-")},
        {"openai_api_key": CANARY * 40},
        {"openai_api_key": [CANARY]},
        {"openai_api_key": {"key": CANARY}},
        {"openai_api_key": {CANARY: 1}},
        {"openai_api_key": CANARY, "tools": [{"maximum": float("nan")}]},
        {"openai_key": CANARY},
        {"api_key": {"openai_api_key": CANARY}},
        {"messages": [{"type": "human", "content": "hi", "openai_api_key": CANARY}]},
        {"messages": {"openai_api_key": CANARY}},
        f'{{"user_prompt": "hi", "openai_api_key": "{CANARY}", }}'.encode(),
        f'{{"user_prompt": "hi", "openai_api_key": "{CANARY}'.encode(),
        f'{{"openai_api_key": "{CANARY}\\ud800"}}'.encode(),
        f'["{CANARY}"]'.encode(),
        f'"{CANARY}"'.encode(),
    ],
    ids=lambda raw: str(raw)[:60],
)
def test_a_refusal_never_repeats_the_key(raw: dict[str, Any] | bytes) -> None:
    # Given a body with a key, in its place or near it, that is refused for whatever reason
    refused = refusal(raw if isinstance(raw, bytes) else json.dumps(PROMPT | raw).encode())
    # Then no form in which the refusal can be told holds the key
    forms = [
        str(refused),
        repr(refused),
        str(refused.error),
        repr(refused.error),
        refused.error.model_dump_json(),
        *traceback.format_exception(refused),
    ]
    assert "canary" not in "".join(forms)


def test_a_body_and_its_job_do_not_show_the_key() -> None:
    body = parse(**PROMPT, openai_api_key=CANARY)
    job = job_from_body(body, DEFAULTS)
    assert job.api_key is not None
    assert job.api_key.get_secret_value() == CANARY
    assert "canary" not in f"{body} {body!r} {body.model_dump_json()} {body.model_dump()} {job} {job!r}"


@pytest.mark.parametrize("field", ["max_tokens", "seed"])
def test_a_whole_number_may_be_written_with_a_point(field: str) -> None:
    assert getattr(parse(user_prompt="x", **{field: 5.0}), field) == 5
