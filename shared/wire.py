"""A job as a record on `llm-requests`, a result as one on `llm-results`, and back.

Frozen by the golden files of `tests/contract/golden`.

The value of a request is the body of `/invoke` with `"schema": 1`, and with a caller's key sealed. The
headers follow CloudEvents' Kafka binary mode; all of them are optional on records that others produce.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field
from pydantic_core import from_json, to_json

from shared.domain.answer_body import result_from_topic_body, topic_body
from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.invoke_body import MOST_DEADLINE_SECONDS, ChatParameters, InvokeBody
from shared.domain.job import (
    DEFAULT_OWNER,
    OWNER_RULE,
    Job,
    JobId,
    ModelDefaults,
    RecordPosition,
    is_owner,
    job_from_body,
)
from shared.domain.replica import replica_name
from shared.domain.result import Failed, Succeeded
from shared.domain.timestamps import rfc3339
from shared.domain.validation import parse_body, short_echo
from shared.ports import Run

SCHEMA = 1
CE_TYPE = "llm.request.v1"
RESULT_CE_TYPE = "llm.result.v1"
_OWN_BEGIN = b'{"schema":%d,' % SCHEMA
_FINGERPRINT = re.compile("[0-9a-f]{64}")
_MOST_SEALED_CHARACTERS = 4096
OWNER_HEADER = "llm_owner"
SOURCE_HEADER = "ce_source"
WAIT_HEADER = "llm_wait_ms"
_LONGEST_NUMBER = 10
_GATEWAY = "gateway"

Headers = Sequence[tuple[str, bytes]]


def source_of(app_name: str, service: str) -> str:
    """What a replica calls itself in the records that it writes."""
    return f"/{app_name}/{service}/{replica_name()}"


class RequestRecord(InvokeBody, ChatParameters):
    """The value of a record: an `/invoke` body that says which schema it has, and may ask for more."""

    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    sealed_openai_api_key: Annotated[str, Field(max_length=_MOST_SEALED_CHARACTERS)] | None = None
    verbatim: bool = False
    """What is left out is left to the provider."""


def job_to_record(job: Job, source: str) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of the record that carries `job`, its key sealed or not at all."""
    if job.api_key is not None and job.sealed_key is None:
        raise ValueError("a caller's key does not travel in the clear: seal it first")
    value = {
        "schema": SCHEMA,
        "request_id": job.id.request_id,
        "messages": [message.model_dump(exclude_none=True) for message in job.messages],
        "model": job.model,
        **job.parameters.model_dump(exclude_none=True),
        "deadline_seconds": round((job.deadline - job.created_at).total_seconds(), 3),
        "on_unknown": job.on_unknown,
    }
    if job.metadata is not None:
        value["metadata"] = job.metadata
    if job.is_streamed:
        value["stream"] = True
    if job.cache is not None:
        value["cache"] = job.cache.model_dump(exclude_none=True)
    if job.is_verbatim:
        value["verbatim"] = True
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", job.id.request_id.encode()),
        ("ce_type", CE_TYPE.encode()),
        (SOURCE_HEADER, source.encode()),
        ("ce_time", rfc3339(job.created_at).encode()),
        ("ce_expirytime", rfc3339(job.deadline).encode()),
        (OWNER_HEADER, job.id.owner.encode()),
        ("content-type", b"application/json"),
    ]
    if job.sealed_key is not None:
        value["sealed_openai_api_key"] = job.sealed_key
        # So that a worker that cannot open the key can still tell whose failure it is.
        headers.append(("llm_fingerprint", job.fingerprint.encode()))
    _add_optional(headers, job)
    return job.id.request_id.encode(), to_json(value), headers


def _add_optional(headers: list[tuple[str, bytes]], job: Job) -> None:
    if job.wait_seconds:
        headers.append((WAIT_HEADER, b"%d" % (job.wait_seconds * 1000)))
    if job.traceparent:
        headers.append(("traceparent", job.traceparent.encode()))


def job_from_record(
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
    timestamp_ms: int,
    defaults: ModelDefaults,
    position: RecordPosition | None = None,
) -> Job:
    """The job that a record carries, or `InvalidRequest`. A key in it is as it came: clear, or sealed.

    `timestamp_ms`: the record's own, which counts as the time of creation when no header says better.
    """
    _check_schema(value)
    record = parse_body(RequestRecord, value or b"")
    if record.request_id is None:
        raise InvalidRequest(
            job_error(ErrorCode.MISSING_FIELD, "request_id: a record must carry one", field="request_id")
        )
    headers = list(headers)
    owner = _owner(headers, str(record.request_id))
    texts = _readable(headers)
    created_at = _created_at(texts.get("ce_time"), timestamp_ms)
    return job_from_body(
        record,
        defaults,
        owner=owner,
        created_at=created_at,
        deadline=_deadline(texts.get("ce_expirytime"), created_at),
        traceparent=texts.get("traceparent"),
        sealed_key=record.sealed_openai_api_key,
        fingerprint=_told_fingerprint(record, texts),
        is_verbatim=record.verbatim,
        record=position,
        is_direct=f"/{_GATEWAY}/" not in texts.get(SOURCE_HEADER, ""),
        wait_seconds=_wait_seconds(texts.get(WAIT_HEADER)),
    )


def result_to_record(run: Run, result: Succeeded | Failed, source: str) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of the record that tells `result`: the answer's body, and what a store needs."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", run.id.request_id.encode()),
        ("ce_type", RESULT_CE_TYPE.encode()),
        (SOURCE_HEADER, source.encode()),
        ("ce_time", rfc3339(result.completed_at).encode()),
        (OWNER_HEADER, run.id.owner.encode()),
        ("llm_fingerprint", run.fingerprint.encode()),
        ("llm_run", run.token.encode()),
        ("content-type", b"application/json"),
    ]
    value = {"schema": SCHEMA, **topic_body(result)}
    if isinstance(result, Succeeded) and result.provider_answer is not None:
        value["provider_answer"] = result.provider_answer
    value["total_ms"], value["retries"] = result.total_ms, result.retries
    return run.id.request_id.encode(), to_json(value), headers


def result_from_record(
    value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
) -> tuple[Run, Succeeded | Failed]:
    """What `result_to_record` told; `ValueError` if it is none of ours."""
    headers = list(headers)
    texts, owner = _readable(headers), _told_owner(headers)
    if owner is None or not is_owner(owner):
        raise ValueError(f"not a result of this service: {OWNER_HEADER} allows {OWNER_RULE}")
    try:
        body = from_json(value or b"")
        if body["schema"] != SCHEMA:
            raise ValueError(f"schema: {str(body['schema'])[:20]} is not supported; allowed: {SCHEMA}")
        result = result_from_topic_body(body)
        return Run(JobId(owner, result.request_id), texts["llm_run"], texts["llm_fingerprint"]), result
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"not a result of this service: {type(fault).__name__} {fault}") from fault


def _check_schema(value: bytes | None) -> None:
    """Before all else: what a newer schema holds cannot be judged by this one."""
    if value is not None and value.startswith(_OWN_BEGIN):
        return  # as `job_to_record` writes it; a second "schema" behind it is refused with the body
    try:
        body = from_json(value or b"")
    except ValueError:
        return  # the body's own check says what is wrong
    schema = body.get("schema", SCHEMA) if isinstance(body, dict) else SCHEMA
    if schema != SCHEMA:
        raise InvalidRequest(
            job_error(
                ErrorCode.UNSUPPORTED_SCHEMA,
                f"schema: {short_echo(str(schema))[:20]} is not supported; allowed: {SCHEMA}",
                field="schema",
                details={"allowed": [SCHEMA]},
            )
        )


def _owner(headers: Sequence[tuple[str, bytes | None]], request_id: str | None) -> str:
    """Unlike the other headers this one is never guessed: a wrong one would give the job to somebody else."""
    told = _told_owner(headers)
    owner = DEFAULT_OWNER if told is None else told
    if not is_owner(owner):
        raise InvalidRequest(
            job_error(
                ErrorCode.INVALID_FIELD,
                f"{OWNER_HEADER}: {short_echo(owner)!r} is no owner; allowed: {OWNER_RULE}",
                field=OWNER_HEADER,
            ),
            request_id,
        )
    return owner


def _told_owner(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    told = [value for name, value in headers if name == OWNER_HEADER and value is not None]
    return told[-1].decode(errors="replace") if told else None


def _readable(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Headers as text; one that is null or not UTF-8 is as good as absent."""
    texts = {}
    for name, value in headers:
        if value is not None:
            try:
                texts[name] = value.decode()
            except UnicodeDecodeError:
                continue
    return texts


def _told_fingerprint(record: RequestRecord, texts: dict[str, str]) -> str:
    """The gateway's, until the key is opened; nobody's word counts where it can be computed."""
    told = texts.get("llm_fingerprint", "") if record.sealed_openai_api_key is not None else ""
    return told if _FINGERPRINT.fullmatch(told) else ""


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    with suppress(ValueError):
        instant = datetime.fromisoformat(text)
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return None


def _created_at(told: str | None, timestamp_ms: int) -> datetime:
    """The header's, but not after the record's own time, which may be missing (-1)."""
    now = datetime.now(UTC)
    # A producer can write any time; one that is no date, or lies ahead, is as good as now.
    is_past = 0 < timestamp_ms < now.timestamp() * 1000
    recorded = datetime.fromtimestamp(timestamp_ms / 1000, UTC) if is_past else now
    return min(_instant(told) or recorded, recorded)


def _wait_seconds(told: str | None) -> float:
    """What is no number is as good as absent."""
    return int(told) / 1000 if told is not None and told.isdecimal() and len(told) < _LONGEST_NUMBER else 0.0


def _deadline(expiry: str | None, created_at: datetime) -> datetime | None:
    """The header's, but never beyond the longest that a body could ask for."""
    told = _instant(expiry)
    return min(told, created_at + timedelta(seconds=MOST_DEADLINE_SECONDS)) if told is not None else None
