"""Bytes to a validated body, and pydantic's complaint to one clear error that echoes no secret."""

import json
import math
import re
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails, from_json

from shared.domain.errors import ErrorCode, InvalidRequest, JobError, job_error
from shared.domain.invoke_body import InvokeBody

TOKEN_PREFIX = "llmgw_"  # noqa: S105
"""Of a client's gateway token: whoever sees one shall know what it is."""
_SECRET_FIELDS = frozenset({"openai_api_key", "sealed_openai_api_key"})
_LONGEST_ECHO = 80
_LARGEST_NUMBER = 2**53
_KEY = re.compile(rf"(sk-|{TOKEN_PREFIX})[\x21-\x7e]+")
_KEPT_CONTEXT = ("ge", "le", "gt", "lt", "min_length", "max_length", "expected")

Body = TypeVar("Body", bound=BaseModel)


def parse_invoke_body(raw: bytes) -> InvokeBody:
    """The body of `/invoke`, or `InvalidRequest` naming the field, the value and what is allowed."""
    return parse_body(InvokeBody, raw)


def parse_body(model: type[Body], raw: bytes) -> Body:
    """`raw` as `model`, or `InvalidRequest`."""
    try:
        body = model.model_validate_json(raw)
        _STRICT_JSON.decode(raw.decode())
    except ValidationError as invalid:
        error = _not_strict_json(raw) or _explain(_most_telling(invalid.errors(include_url=False)), model)
        raise InvalidRequest(error, _readable_request_id(raw)) from None
    except _NotStrictJson as fault:
        raise InvalidRequest(fault.error, _readable_request_id(raw)) from None
    return body


class _NotStrictJson(Exception):
    """What the parser takes and the next reader may refuse, or read in another way."""

    def __init__(self, problem: str) -> None:
        self.error = job_error(ErrorCode.INVALID_JSON, f"The body is not valid JSON: {problem}")


def _unique(members: list[tuple[str, Any]]) -> None:
    """Which of two values counts would depend on who reads it."""
    names = [name for name, _ in members]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotStrictJson(f"an object holds the key {short_echo(twice)!r} twice")


def _finite(number: str) -> None:
    """NaN, Infinity and 1e999 are no numbers to a provider."""
    if not math.isfinite(float(number)):
        raise _NotStrictJson("a number is not finite")


# Whole numbers stay text: they are always finite, and slow to read if they are long.
_STRICT_JSON = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=str, parse_float=_finite, parse_constant=_finite
)


def _not_strict_json(raw: bytes) -> JobError | None:
    try:
        _STRICT_JSON.decode(raw.decode())
    except _NotStrictJson as fault:
        return fault.error
    except (ValueError, RecursionError):
        return None  # the body's own check says what is wrong
    return None


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """A value that may have two types fails as each of them: prefer what is wrong with the type it has."""
    first = errors[0]
    same_field = [error for error in errors if error["loc"][:1] == first["loc"][:1]]
    return next((error for error in same_field if not error["type"].endswith("_type")), first)


def _readable_request_id(raw: bytes) -> str | None:
    """The id that an invalid body asked for, so that the error can be told to its owner."""
    try:
        body = from_json(raw)
        return str(UUID(body["request_id"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _explain(error: ErrorDetails, model: type[BaseModel]) -> JobError:
    field = _field(error)
    kind = error["type"]
    if kind == "json_invalid":
        return job_error(ErrorCode.INVALID_JSON, f"The body is not valid JSON: {_json_reason(error)}")
    if not error["loc"] and kind == "model_type":
        return job_error(ErrorCode.INVALID_JSON, "The body must be a JSON object")
    if kind == "extra_forbidden":
        return _unknown_field(field, model, nested=len(error["loc"]) > 1)
    if kind == "invalid_api_key":
        details: dict[str, JsonValue] = {"expected_format": "sk-..."}
        return job_error(ErrorCode.INVALID_API_KEY, error["msg"], field=field, details=details)
    code = ErrorCode.MISSING_FIELD if kind in {"missing", "missing_prompt"} else ErrorCode.INVALID_FIELD
    return job_error(code, f"{field}: {error['msg']}", field=field, details=_details(error) or None)


def _unknown_field(field: str, model: type[BaseModel], *, nested: bool) -> JobError:
    allowed: list[JsonValue] = [*sorted(field.alias or name for name, field in model.model_fields.items())]
    details: dict[str, JsonValue] | None = None if nested else {"allowed": allowed}
    return job_error(ErrorCode.UNKNOWN_FIELD, f"{field}: unknown field", field=field, details=details)


def _field(error: ErrorDetails) -> str:
    named = error.get("ctx", {}).get("field")
    if named is not None:
        return str(named)
    # A union's branches and the functions around a value are pydantic's, not the user's.
    path = [
        str(step)
        for step in error["loc"]
        if not (isinstance(step, str) and ("[" in step or step in _BRANCHES))
    ]
    return short_echo(".".join(path)) or "body"


_BRANCHES = frozenset({"str", "constrained-str", "float", "int"})


def _json_reason(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("error", error["msg"]))


def _details(error: ErrorDetails) -> dict[str, JsonValue]:
    details: dict[str, JsonValue] = {
        name: _plain(value) for name, value in error.get("ctx", {}).items() if name in _KEPT_CONTEXT
    }
    value = error["input"]
    if isinstance(value, str | int | float | bool) and not _SECRET_FIELDS.intersection(
        map(str, error["loc"])
    ):
        details["value"] = _plain(value)
    return details


def _plain(value: Any) -> JsonValue:
    """Short enough to repeat, and a number only where JSON can hold it."""
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _LARGEST_NUMBER):
        return value
    return short_echo(str(value))


def short_echo(text: str) -> str:
    """A key or token that was pasted into the wrong field is not repeated either."""
    is_harmless = "sk-" not in text and TOKEN_PREFIX not in text
    return (text if is_harmless else _KEY.sub(r"\1...", text))[:_LONGEST_ECHO]
