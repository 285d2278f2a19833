"""What travels between processes: frozen where it is written, tolerant where it is read.

`golden_files.py` says how the golden files are written anew.
"""

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from shared.adapters.file_event_sink import encode_event
from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.events import Event, JobFailed, JobFinished, ProviderCalled
from shared.domain.invoke_body import ChatParameters
from shared.domain.job import DEFAULT_OWNER, Job, JobId
from shared.domain.result import Failed, Succeeded, Usage, dump_result, load_result
from shared.ports import Run
from shared.wire import job_from_record, job_to_record, result_from_record, result_to_record, source_of
from tests.contract.examples import CHAT_JOB, CREATED_AT, DEFAULTS, FULL_JOB, MINIMAL_JOB, REQUEST_ID
from tests.contract.golden_files import GoldenFiles

SENT_AT = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
SENT_AT_MS = round(SENT_AT.timestamp() * 1000)
CANARY = "sk-canary-0123456789"

JOBS = {"request_minimal": MINIMAL_JOB, "request_full": FULL_JOB, "request_chat": CHAT_JOB}

SUCCEEDED = Succeeded(
    request_id=REQUEST_ID,
    model="gpt-4o-mini-2024-07-18",
    completed_at=datetime(2026, 1, 2, 3, 4, 7, 123456, tzinfo=UTC),
    queue_ms=12.345,
    llm_latency_ms=812.5,
    attempts=2,
    retry_count=1,
    rate_limited=True,
    possible_duplicate_charge=True,
    metadata={"team": "blau"},
    message={"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}], "refusal": None},
    finish_reason="tool_calls",
    confidence=0.30000000000000004,
    usage=Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12),
    provider_answer={"id": "chatcmpl-1", "choices": [{"index": 0, "logprobs": None}], "usage": {"x": 1}},
)
FAILED = Failed(
    request_id=REQUEST_ID,
    model="gpt-4o-mini",
    completed_at=datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC),
    queue_ms=0.0,
    llm_latency_ms=31.0,
    attempts=5,
    retry_count=4,
    rate_limited=True,
    error=job_error(
        ErrorCode.UPSTREAM_RATE_LIMITED,
        "The provider's rate limit is used up",
        details={"provider_message": "slow down", "retry_after_seconds": 1.5},
    ),
)
RESULTS: dict[str, Succeeded | Failed] = {"result_succeeded": SUCCEEDED, "result_failed": FAILED}

RECORDS_OF_RESULTS = [f"record_of_{name}" for name in RESULTS]
RUN = Run(JobId("somebody", REQUEST_ID), "a token", "fingerprint of a question")

TOLD_AT = "2026-01-02T03:04:07.654Z"
EVENTS: dict[str, Event] = {
    "metrics_provider_called": ProviderCalled(
        owner="public",
        request_id=REQUEST_ID,
        model="gpt-4o-mini",
        attempt=2,
        outcome="succeeded",
        latency_ms=812.5,
        response_model="gpt-4o-mini-2024-07-18",
        prompt_tokens=9,
        cached_tokens=0,
        completion_tokens=3,
        cost_usd=0.00000315,
        fallback_for="gpt-4o",
        timestamp=TOLD_AT,
        worker="worker-1-77",
    ),
    "metrics_job_finished": JobFinished(
        owner="public",
        request_id=REQUEST_ID,
        model="gpt-4o-mini-2024-07-18",
        status="succeeded",
        error_code=None,
        attempts=2,
        retry_count=1,
        retries={"UPSTREAM_RATE_LIMITED": 1},
        rate_limited=True,
        cached=False,
        queue_ms=12.345,
        llm_latency_ms=812.5,
        total_ms=901.25,
        prompt_tokens=9,
        completion_tokens=3,
        cost_usd=0.00000315,
        possible_duplicate_charge=True,
        metadata={"team": "blau"},
        topic="llm-requests",
        partition=3,
        offset=41,
        timestamp=TOLD_AT,
        worker="worker-1-77",
    ),
    "errors_job_failed": JobFailed(
        owner="public",
        request_id=REQUEST_ID,
        error=FAILED.error.model_dump(mode="json", exclude={"details"}),
        attempt=5,
        timestamp=TOLD_AT,
        worker="worker-1-77",
    ),
    "errors_record_dead_lettered": JobFailed(
        owner=None,
        request_id=None,
        error=job_error(ErrorCode.INVALID_JSON, "The body is not valid JSON").model_dump(
            mode="json", exclude={"details"}
        ),
        attempt=0,
        topic="llm-requests",
        partition=3,
        offset=42,
        timestamp=TOLD_AT,
        worker="worker-1-77",
    ),
}


# --- Frozen ---


@pytest.mark.parametrize("name", JOBS)
def test_the_record_of_a_job_is_the_golden_one(golden: GoldenFiles, name: str) -> None:
    key, value, headers = job_to_record(JOBS[name], "gateway-1")
    texts = [[header, content.decode()] for header, content in headers]
    golden.check(name, {"key": key.decode(), "headers": texts, "value": json.loads(value)})


@pytest.mark.parametrize("name", JOBS)
def test_the_golden_record_is_read_as_the_job_it_was(golden: GoldenFiles, name: str) -> None:
    # Given a record that an older gateway may have sent
    record = golden.read(name)
    # When it is read, then it is the job that it was, and the same question
    job = read(record["value"], [(header, text.encode()) for header, text in record["headers"]])
    expected = dataclasses.replace(JOBS[name], is_direct=True)  # it does not say where its gateway runs
    assert dataclasses.asdict(job) == dataclasses.asdict(expected)
    assert job.fingerprint == JOBS[name].fingerprint


@pytest.mark.parametrize("name", RESULTS)
def test_a_stored_result_is_the_golden_one(golden: GoldenFiles, name: str) -> None:
    golden.check(name, json.loads(dump_result(RESULTS[name])))


@pytest.mark.parametrize("name", RESULTS)
def test_the_golden_result_is_read_as_the_result_it_was(golden: GoldenFiles, name: str) -> None:
    assert load_result(orjson.dumps(golden.read(name))) == RESULTS[name]


@pytest.mark.parametrize("name", RESULTS)
def test_the_record_of_a_result_is_the_golden_one(golden: GoldenFiles, name: str) -> None:
    key, value, headers = result_to_record(RUN, RESULTS[name], "worker-1")
    texts = [[header, content.decode()] for header, content in headers]
    golden.check(f"record_of_{name}", {"key": key.decode(), "headers": texts, "value": json.loads(value)})


@pytest.mark.parametrize("name", RESULTS)
def test_the_golden_record_is_read_as_the_result_it_was_to_the_millisecond(
    golden: GoldenFiles, name: str
) -> None:
    record = golden.read(f"record_of_{name}")
    headers = [(header, text.encode()) for header, text in record["headers"]]
    run, result = result_from_record(orjson.dumps(record["value"]), headers)
    expected = RESULTS[name]
    to_the_ms = expected.completed_at.replace(microsecond=expected.completed_at.microsecond // 1000 * 1000)
    assert (run, result) == (RUN, expected.model_copy(update={"completed_at": to_the_ms}))


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b"7", b'{"schema": 1}', b'{"schema": 2}', b'{"schema": 1, "success": true}'],
)
def test_what_is_not_a_result_is_refused(value: bytes | None) -> None:
    _, _, headers = result_to_record(RUN, SUCCEEDED, "worker-1")
    with pytest.raises(ValueError, match=r"not a result|not supported|JSON|EOF"):
        result_from_record(value, headers)


def test_a_result_without_its_headers_is_refused() -> None:
    _, value, headers = result_to_record(RUN, SUCCEEDED, "worker-1")
    for missing in ("llm_owner", "llm_fingerprint", "llm_run"):
        with pytest.raises(ValueError, match=missing):
            result_from_record(value, [pair for pair in headers if pair[0] != missing])


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_the_golden_one(golden: GoldenFiles, name: str) -> None:
    golden.check(name, json.loads(encode_event(EVENTS[name])))


def test_the_fingerprint_of_a_question_is_for_ever(golden: GoldenFiles) -> None:
    # A gateway and a worker of different versions must agree, or the worker refuses the gateway's job.
    golden.check("fingerprints", {name: job.fingerprint for name, job in JOBS.items()})


def test_no_golden_file_is_left_over(golden: GoldenFiles) -> None:
    assert golden.names() == {*JOBS, *RESULTS, *RECORDS_OF_RESULTS, *EVENTS, "fingerprints"}


def test_golden_files_are_written_on_demand_and_compared_letter_by_letter(tmp_path: Path) -> None:
    # Given a file that was written on demand
    GoldenFiles(tmp_path, {"UPDATE_GOLDEN": "1"}).check("file", {"a": 1, "b": 2})
    # When it is compared, then everything counts: values, how numbers are written, and their order
    compared = GoldenFiles(tmp_path, {})
    compared.check("file", {"a": 1, "b": 2})
    for other in ({"a": 1}, {"a": 1.0, "b": 2}, {"b": 2, "a": 1}):
        with pytest.raises(AssertionError, match="differs"):
            compared.check("file", other)


def test_golden_files_are_not_written_in_ci(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="CI=true"):
        GoldenFiles(tmp_path, {"UPDATE_GOLDEN": "1", "CI": "true"})


def test_how_long_a_caller_waits_travels_along_and_nothing_is_said_of_nobody() -> None:
    waited_for = replace(read(QUESTION), wait_seconds=55.0)
    _, value, headers = job_to_record(waited_for, "gateway-1")
    assert dict(headers)["llm_wait_ms"] == b"55000"
    assert job_from_record(value, headers, SENT_AT_MS, DEFAULTS).wait_seconds == 55
    assert "llm_wait_ms" not in dict(job_to_record(read(QUESTION), "gateway-1")[2])


@pytest.mark.parametrize("told", [b"", b"-1", b"1.5", b"soon", b"1" * 5000, b"\xff", None])
def test_a_wait_that_is_no_number_is_as_good_as_none(told: bytes | None) -> None:
    assert read(QUESTION, [("llm_wait_ms", told)]).wait_seconds == 0


# --- Tolerant: headers ---

QUESTION = {"request_id": REQUEST_ID, "user_prompt": "hi"}


def test_a_record_without_headers_is_a_job_with_defaults() -> None:
    # Given the least that a direct producer can send, when it is read
    job = read(QUESTION)
    # Then everything else is a default, and the time is the record's own
    assert job.id == JobId(DEFAULT_OWNER, REQUEST_ID)
    assert (job.model, job.parameters) == ("gpt-4o-mini", ChatParameters(temperature=0.7, max_tokens=1000))
    assert (job.created_at, job.deadline) == (SENT_AT, SENT_AT + timedelta(seconds=600))
    assert (job.on_unknown, job.metadata, job.api_key, job.traceparent) == ("retry", None, None, None)


@pytest.mark.parametrize(
    ("source", "is_direct"),
    [(source_of("any-name", "gateway"), False), ("/their/job", True), (None, True)],
    ids=["a gateway", "somebody else", "nobody"],  # ours has a process id in it
)
def test_a_record_tells_whether_a_gateway_wrote_it(source: str | None, is_direct: bool) -> None:
    assert read(QUESTION, [("ce_source", source.encode() if source else None)]).is_direct is is_direct


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [(f"00-{'ab' * 16}-{'cd' * 8}-01", "ab" * 16), ("00-sk-CANARY-1f0e9d8c7b6a5f4e3d2c", None), ("", None)],
)
def test_only_a_trace_context_has_a_trace_id(traceparent: str, trace_id: str | None) -> None:
    assert read(QUESTION, [("traceparent", traceparent.encode())]).trace_id == trace_id


def test_a_direct_producer_and_the_gateway_ask_the_same_question() -> None:
    _, value, headers = job_to_record(read(QUESTION), "gateway-1")
    through_the_gateway = job_from_record(value, headers, SENT_AT_MS, DEFAULTS)
    assert read(QUESTION).fingerprint == through_the_gateway.fingerprint


@pytest.mark.parametrize(
    "headers",
    [
        [("ce_time", None), ("ce_expirytime", None), ("traceparent", None), ("llm_owner", None)],
        [("ce_time", b"\xff\xfe"), ("ce_expirytime", b"\xc3"), ("traceparent", b"\x80")],
        [("ce_time", b""), ("ce_expirytime", b"")],
        [("ce_time", b"yesterday"), ("ce_expirytime", b"2026-13-45T99:99:99Z")],
        [("ce_time", b"1767323045678")],
        [("unknown", b"\x00"), ("ce_type", b"another.type"), ("ce_id", b"another id"), ("", b"")],
        [("content-type", b"text/plain"), ("ce_specversion", b"9.9")],
    ],
    ids=["null", "not utf-8", "empty", "bad times", "a number for a time", "foreign", "other types"],
)
def test_headers_that_say_nothing_usable_are_as_good_as_absent(
    headers: list[tuple[str, bytes | None]],
) -> None:
    assert read(QUESTION, headers) == read(QUESTION)


@pytest.mark.parametrize("owner", ["a", "team-a", "0", "x.y_z-1", "a" * 64])
def test_a_producer_may_say_whose_the_job_is(owner: str) -> None:
    assert read(QUESTION, [("llm_owner", owner.encode())]).id == JobId(owner, REQUEST_ID)


@pytest.mark.parametrize(
    "owner",
    [b"", b" a", b"A", b"a:b", b"a\n", b"a\nb", b"-a", b"a" * 65, b"\xff", "\u00e4".encode(), b"sk-secret/1"],
)
def test_an_owner_that_nobody_can_be_is_refused_and_never_guessed(owner: bytes) -> None:
    refused = refusal(QUESTION, [("llm_owner", b"a"), ("llm_owner", owner)])
    assert (refused.error.error_code, refused.error.field) == (ErrorCode.INVALID_FIELD, "llm_owner")
    assert refused.request_id == REQUEST_ID
    assert "1 to 64 of a-z" in refused.error.message
    assert "secret" not in refused.error.message
    assert len(refused.error.message) < 250
    # And a result that claims it is none
    _, value, headers = result_to_record(RUN, SUCCEEDED, "worker-1")
    with pytest.raises(ValueError, match=r"not a result.*llm_owner"):
        result_from_record(value, [*headers, ("llm_owner", owner)])


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        (b"2026-01-02T03:04:05.678Z", CREATED_AT),
        (b"2026-01-02T05:04:05.678+02:00", CREATED_AT),
        (b"2026-01-02T03:04:05.678", CREATED_AT),
        (b"2026-01-02T03:04:05.678000123Z", CREATED_AT),
    ],
    ids=["utc", "another zone", "no zone", "nanoseconds"],
)
def test_times_are_understood_in_every_usual_spelling(text: bytes, instant: datetime) -> None:
    job = read(QUESTION, [("ce_time", text)])
    assert (job.created_at, job.deadline) == (instant, instant + timedelta(seconds=600))


def test_an_expiry_of_its_own_wins_over_the_seconds_in_the_body() -> None:
    job = read({**QUESTION, "deadline_seconds": 30}, [("ce_expirytime", b"2026-01-02T03:04:09Z")])
    assert job.deadline == datetime(2026, 1, 2, 3, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize("expiry", [b"2027-01-01T00:00:00Z", b"9999-12-31T23:59:59Z"])
def test_an_expiry_cannot_be_further_away_than_the_longest_deadline(expiry: bytes) -> None:
    job = read(QUESTION, [("ce_expirytime", expiry)])
    assert job.deadline == SENT_AT + timedelta(seconds=3600)


def test_an_expiry_in_the_past_is_kept() -> None:
    job = read(QUESTION, [("ce_expirytime", b"2020-01-01T00:00:00Z")])
    assert job.deadline == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("time", [b"2036-01-01T00:00:00Z", b"9999-12-31T23:59:59Z"])
def test_a_time_of_creation_that_lies_ahead_does_not_move_the_deadline(time: bytes) -> None:
    job = read(QUESTION, [("ce_time", time)])
    assert job.deadline <= SENT_AT + timedelta(seconds=3600)


def test_a_record_without_a_time_of_its_own_was_made_now() -> None:
    before = datetime.now(UTC)
    job = job_from_record(orjson.dumps(QUESTION), [], -1, DEFAULTS)
    assert before <= job.created_at <= datetime.now(UTC)


# --- Tolerant: values ---


@pytest.mark.parametrize("schema", [{}, {"schema": 1}], ids=["absent", "1"])
def test_the_first_schema_need_not_be_named(schema: dict[str, Any]) -> None:
    assert read({**QUESTION, **schema}) == read(QUESTION)


@pytest.mark.parametrize("schema", [2, 0, "1", "2", None, [1], {"a": 1}, 1.5])
def test_another_schema_is_refused_before_its_fields_are_judged(schema: object) -> None:
    # Given a record of a newer gateway, with fields that nobody knows yet
    refused = refusal({"schema": schema, "request_id": REQUEST_ID, "prompt_2": {"a": 1}})
    # Then the schema is what is wrong with it
    assert refused.error.error_code is ErrorCode.UNSUPPORTED_SCHEMA
    assert refused.error.field == "schema"
    assert refused.error.details == {"allowed": [1]}
    assert not refused.error.retryable


@pytest.mark.parametrize("schema", [True, 1.0])
def test_a_schema_that_only_equals_one_is_refused(schema: object) -> None:
    assert refusal({**QUESTION, "schema": schema}).error.field == "schema"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe\x00",
        b'{"user_prompt": "\xff"}',
        b'{"user_prompt": "hi"',
        b"not json",
        b'"text"',
        b"[]",
        b"null",
        b"1",
        b"[" * 100_000,
    ],
    ids=[
        "tombstone",
        "empty",
        "bytes",
        "not utf-8",
        "cut",
        "words",
        "text",
        "list",
        "null",
        "number",
        "deep",
    ],
)
def test_what_is_not_a_json_object_is_refused(value: bytes | None) -> None:
    refused = refusal(value)
    assert refused.error.error_code is ErrorCode.INVALID_JSON
    assert not refused.error.retryable
    assert refused.request_id is None


def test_a_record_without_a_request_id_is_refused() -> None:
    refused = refusal({"user_prompt": "hi"}, [("ce_id", REQUEST_ID.encode())])
    assert (refused.error.error_code, refused.error.field) == (ErrorCode.MISSING_FIELD, "request_id")


def test_an_unknown_field_is_refused_to_the_owner_of_the_id() -> None:
    refused = refusal({**QUESTION, "surprise": 1})
    assert (refused.error.error_code, refused.error.field) == (ErrorCode.UNKNOWN_FIELD, "surprise")
    assert refused.request_id == REQUEST_ID


def test_the_fields_that_are_allowed_are_told_by_their_names() -> None:
    details = refusal({**QUESTION, "surprise": 1}).error.details
    assert details is not None
    allowed = details["allowed"]
    assert isinstance(allowed, list)
    assert "schema" in allowed
    assert "schema_version" not in allowed


def test_a_model_that_is_not_served_is_refused_to_the_owner_of_the_id() -> None:
    refused = refusal({**QUESTION, "model": "gpt-0"})
    assert refused.error.error_code is ErrorCode.UNSUPPORTED_MODEL
    assert refused.request_id == REQUEST_ID


def test_a_clear_key_is_read_as_a_secret() -> None:
    # Given a direct producer that puts its key on the topic; who reads the job decides about it
    job = read({**QUESTION, "openai_api_key": CANARY})
    assert job.api_key == SecretStr(CANARY)
    assert CANARY not in f"{job!r} {job}"


def test_a_callers_key_is_written_sealed_or_not_at_all() -> None:
    # Given a job with a key
    with_key = dataclasses.replace(read(QUESTION), api_key=SecretStr(CANARY))
    # Then it is no record as it is
    with pytest.raises(ValueError, match="does not travel in the clear") as refused:
        job_to_record(with_key, "gateway-1")
    assert CANARY not in f"{refused.value!r}"
    # And sealed, it is one that reads the same, with the fingerprint of the open key
    sealed = dataclasses.replace(with_key, sealed_key="a.b.c.d.e")
    key, value, headers = job_to_record(sealed, "gateway-1")
    assert CANARY.encode() not in b"".join([key, value, *(content for _, content in headers)])
    again = job_from_record(value, headers, SENT_AT_MS, DEFAULTS)
    assert (again.sealed_key, again.api_key, again.fingerprint) == ("a.b.c.d.e", None, with_key.fingerprint)


# --- The steps that tests make ---


def read(value: dict[str, Any], headers: list[tuple[str, bytes | None]] | None = None) -> Job:
    return job_from_record(orjson.dumps(value), headers or [], SENT_AT_MS, DEFAULTS)


def refusal(
    value: dict[str, Any] | bytes | None, headers: list[tuple[str, bytes | None]] | None = None
) -> InvalidRequest:
    raw = orjson.dumps(value) if isinstance(value, dict) else value
    with pytest.raises(InvalidRequest) as refused:
        job_from_record(raw, headers or [], SENT_AT_MS, DEFAULTS)
    return refused.value
