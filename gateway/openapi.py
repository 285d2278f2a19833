"""What `/openapi.json` says of bodies, headers and answers, which the routes read and write themselves."""

from collections.abc import Collection, Container
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from pydantic import BaseModel
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp

from gateway.answer_schemas import (
    AcceptedAnswer,
    ErrorAnswer,
    FailedAnswer,
    HealthAnswer,
    JwksAnswer,
    ProbeAnswer,
    StatsAnswer,
    SucceededAnswer,
)
from gateway.error_responses import STATUS_OF_CODE
from gateway.openapi_examples import error_examples, put_examples
from gateway.priority import PRIORITY_HEADER
from shared.domain.errors import ErrorCode
from shared.domain.invoke_body import API_KEY, OPENAI_ROLES, InvokeBody, Message
from shared.domain.priority import PRIORITIES

Json = dict[str, Any]
Responses = dict[int | str, Json]


class DocumentedApp(FastAPI):
    """An app whose document holds an example of every answer."""

    def openapi(self) -> Json:
        return self.openapi_schema or put_examples(super().openapi())

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's own, without three that cost every request and have nothing to do here: no telemetry is
        told, and the outermost of ours answers for faults and for bodies that are too large.
        """
        app: ASGIApp = AsyncExitStackMiddleware(self.router)  # routes that are not plain end with it
        app = ExceptionMiddleware(app, handlers=self.exception_handlers)
        for kind, positional, named in reversed(self.user_middleware):
            app = kind(app, *positional, **named)
        return app


_VISIBLE = r"[^\p{Z}\p{C}]"
_RETRY_AFTER = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
REPLAYED = {"Idempotent-Replayed": {"schema": {"type": "string", "enum": ["true"]}}}
_PREFERENCE_APPLIED = {"Preference-Applied": {"schema": {"type": "string"}}}
_LIMITS = {
    name: {
        "schema": {"type": "string"},
        "description": "draft-ietf-httpapi-ratelimit-headers, if limits are set",
    }
    for name in ("RateLimit-Policy", "RateLimit")
}
_NO_RETRY = {"x-should-retry": {"schema": {"type": "string", "enum": ["false"]}}}
_HEADERS: dict[int, Json] = {
    409: {**_NO_RETRY, "Retry-After": {"schema": {"type": "integer", "minimum": 1}}},
    429: {**_RETRY_AFTER, **_LIMITS},
    500: _NO_RETRY,
    503: {**_NO_RETRY, **_RETRY_AFTER},
}
_REASONS = {
    400: "Invalid; `error.field` and `error.details` say what is allowed",
    401: "The provider refused the key",
    404: "Unknown",
    405: "The path exists, not with this method",
    408: "The request did not arrive within `LLM_RECEIVE_TIMEOUT_SECONDS`",
    409: "The request id belongs to another request, or the job's deadline has passed",
    410: "Deleted, or past its retention",
    413: "The body is larger than `LLM_MAX_BODY_BYTES`",
    415: "The body is compressed, or says it is not JSON in UTF-8",
    431: "Request line and headers are larger than 64 KiB",
    429: "The caller's or the provider's limit is used up; try again after `Retry-After`",
    500: "A fault of the service; `error.trace_id` finds it in the log",
    503: "Not accepted, or the provider is away; try again after `Retry-After`",
}
_ANY_ROUTE = (405, 408, 413, 431, 500)
_READING = (ErrorCode.INVALID_FIELD, ErrorCode.STORE_UNAVAILABLE, ErrorCode.INTERNAL_ERROR)
_NOT_SUBMITTING = {
    ErrorCode.ALREADY_FINISHED,
    ErrorCode.STILL_RUNNING,
    ErrorCode.UNSUPPORTED_SCHEMA,
    ErrorCode.INVALID_SEALED_KEY,
}


EVENT: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("data", "event", "id")},
    "required": ["data"],
}


def refusals(
    statuses: tuple[int, ...],
    model: Any = ErrorAnswer,
    codes: Collection[ErrorCode] = _READING,
    form: str = "",
) -> Responses:
    """The answers of these statuses and of those that any route has; `form` is said before the examples."""
    return {
        status: {
            "model": model,
            "description": _REASONS[status],
            "headers": _HEADERS.get(status, {}),
            "content": {"application/json": {"examples": error_examples(status, codes, form)}},
        }
        for status in sorted({*statuses, *_ANY_ROUTE})
    }


def example(name: str) -> Json:
    """Content whose example `put_examples` fills in."""
    return {"application/json": {"examples": {name: {"value": ""}}}}


def _report(model: type[BaseModel], description: str) -> Responses:
    answer = {"model": model, "description": description}
    return {**refusals(()), 200: answer}


JOB_STATUSES = tuple(set(STATUS_OF_CODE.values()) - {404, 410})
JOB_ANSWERS: Responses = {
    **refusals(JOB_STATUSES, ErrorAnswer | FailedAnswer, frozenset(ErrorCode) - _NOT_SUBMITTING),
    200: {
        "model": SucceededAnswer,
        "description": "The result; with `stream`, its events",
        "content": {**example("succeeded"), "text/event-stream": {"schema": EVENT}},
        "headers": {**REPLAYED, **_PREFERENCE_APPLIED, **_LIMITS},
    },
    202: {
        "model": AcceptedAnswer,
        "description": "Accepted, still running; `Location` says where the result will be",
        "content": example("accepted"),
        "headers": {
            "Location": {"required": True, "schema": {"type": "string", "format": "uri-reference"}},
            **_RETRY_AFTER,
            **_PREFERENCE_APPLIED,
            **_LIMITS,
        },
    },
}
# FastAPI would add its stock 422 to a route with a path parameter; no such answer exists.
_NO_STOCK_422: Responses = {"4XX": {"model": ErrorAnswer, "description": "Every refusal has this body"}}
RESULT_ANSWERS: Responses = {
    **refusals((400, 404, 410, 503)),
    200: {
        "model": SucceededAnswer | FailedAnswer,
        "description": "How the job ended",
        "content": example("succeeded"),
        "headers": {**REPLAYED, **_PREFERENCE_APPLIED},
    },
    202: JOB_ANSWERS[202],
    **_NO_STOCK_422,
}
EVENTS_ANSWERS: Responses = {
    **refusals((400, 404, 410, 503)),
    200: {
        "content": {"text/event-stream": {"schema": EVENT}},
        "description": "Events `delta`, `retrying`, and at last `result` or `error`",
    },
    **_NO_STOCK_422,
}
CANCEL_ANSWERS: Responses = {
    **refusals((404, 409, 410, 503), codes=(*_READING, ErrorCode.ALREADY_FINISHED)),
    200: {"model": FailedAnswer, "description": "It is cancelled", "content": example("cancelled")},
    202: {**JOB_ANSWERS[202], "description": "Whoever runs it is told"},
    **_NO_STOCK_422,
}
DELETE_ANSWERS: Responses = {
    **refusals((404, 409, 410, 503), codes=(*_READING, ErrorCode.STILL_RUNNING)),
    204: {"description": "Erased; the id stays taken"},
    **_NO_STOCK_422,
}
HEALTH_ANSWERS: Responses = {
    **_report(HealthAnswer, "Jobs are accepted"),
    503: {"model": HealthAnswer, "description": "No job would be accepted"},
}
LIVE_ANSWERS: Responses = _report(ProbeAnswer, "The process answers")
READY_ANSWERS: Responses = {
    **_report(ProbeAnswer, "Jobs are accepted"),
    503: {"model": ProbeAnswer, "description": "No job would be accepted"},
}
STATS_ANSWERS: Responses = _report(StatsAnswer, "Figures of the whole service")
STATS_EVENTS_ANSWERS: Responses = {
    **refusals(()),
    200: {
        "content": {"text/event-stream": {"schema": EVENT}},
        "description": "Events `stats`: the same, and the `points` of a plot",
    },
}
JWKS_ANSWERS: Responses = _report(JwksAnswer, "The workers' public keys, the current one first")
METRICS_ANSWERS: Responses = {
    **refusals(()),
    200: {"content": {"text/plain": {}}, "description": "Figures of this process"},
}


def describe_tokens(document: Json, open_paths: Container[str]) -> None:
    """Say of every path that is not open that it wants a token, and what it answers without one."""
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    closed = (operations for path, operations in document["paths"].items() if path not in open_paths)
    for operation in (operation for operations in closed for operation in operations.values()):
        answers = operation["responses"]
        operation["security"] = [{"token": []}]
        answers["401"] = _unauthorized(answers.get("401"))


def _unauthorized(other: Json | None) -> Json:
    """Beside what 401 means on this path already."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    return {
        "content": other["content"] if other else error,
        "description": "; ".join(
            ["The token is missing or unknown", *([other["description"]] if other else [])]
        ),
        "headers": {"WWW-Authenticate": {"schema": {"type": "string", "enum": ["Bearer"]}}},
    }


def _parameter(name: str, place: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": place, "required": False, "schema": schema, "description": description}


_PREFER = _parameter(
    "Prefer", "header", {"type": "string"}, "RFC 7240: `wait=n`, `respond-async`, `handling=strict`"
)
_WAIT = _parameter(
    "wait", "query", {"type": "number", "minimum": 0}, "Seconds to wait for the result; wins over `Prefer`"
)
IDEMPOTENCY_KEY = _parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "format": "uuid"},
    "The request id, if the body carries none; another one than the body's is 400",
)
PRIORITY = _parameter(
    PRIORITY_HEADER,
    "header",
    {"type": "string", "enum": list(PRIORITIES), "default": "normal"},
    "The lane in which the job waits for its turn; no part of what is asked",
)


def _text(pattern: str) -> Json:
    return {"type": "string", "pattern": pattern}


def _optional(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _message_schemas() -> list[Json]:
    """The kinds of a message, named by `type` or, as OpenAI does it, by `role`."""
    openai_roles = {name: role for role, name in OPENAI_ROLES.items()}
    schemas = []
    for key, own in (("type", {}), ("role", openai_roles)):
        ai, tool, system, human = (own.get(name, name) for name in ("ai", "tool", "system", "human"))
        schemas += [
            message_schema(Message, key, [system, "developer", human, ai], "content"),
            message_schema(Message, key, [tool], "content", "tool_call_id"),
            message_schema(Message, key, [ai], "tool_calls"),
            message_schema(Message, key, [ai], "refusal"),
        ]
    return schemas


def message_schema(model: type[BaseModel], key: str, kinds: list[str], *needed: str) -> Json:
    """Of messages whose `key` is one of `kinds`, and which need these members."""
    schema = model.model_json_schema()
    properties: Json = {
        name: without_definitions(field)
        for name, field in schema["properties"].items()
        if name not in ("type", "role")
    }
    for name in needed:
        properties[name] = {"anyOf": [kind for kind in properties[name]["anyOf"] if kind != {"type": "null"}]}
    if "tool_calls" in needed:
        properties["tool_calls"]["anyOf"][0]["minItems"] = 1
    properties[key] = {"type": "string", "enum": kinds}
    return {
        "type": "object",
        "properties": properties,
        "required": [key, *needed],
        "additionalProperties": False,
    }


def without_definitions(node: Any, definitions: Json | None = None) -> Any:
    """A document inside a document cannot refer to its own root: what it refers to stands where it did.

    What `definitions` do not hold is any JSON.
    """
    if isinstance(node, dict):
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            return without_definitions((definitions or {}).get(name, {}), definitions)
        kept = {name: value for name, value in node.items() if name != "$defs"}
        return {name: without_definitions(value, definitions) for name, value in kept.items()}
    return [without_definitions(value, definitions) for value in node] if isinstance(node, list) else node


def _body_schema() -> Json:
    """pydantic's schema of the body, and what its validators ask for beyond it."""
    schema: Json = without_definitions(InvokeBody.model_json_schema())
    messages = {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"anyOf": _message_schemas()}}
    schema["properties"] |= {
        "user_prompt": _optional(_text(_VISIBLE)),
        "system_prompt": _optional(_text(_VISIBLE)),
        "messages": _optional(messages),
        "openai_api_key": _optional(_text(f"^{API_KEY.pattern}$") | {"format": "password"}),
    }
    schema["anyOf"] = [
        {"required": ["user_prompt"], "properties": {"user_prompt": _text(_VISIBLE)}},
        {"required": ["messages"], "properties": {"messages": messages}},
    ]
    return schema


_BODY: Json = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _body_schema(),
                "example": {"user_prompt": "What is the capital of France?"},
            }
        },
    }
}
INVOKE_REQUEST: Json = {**_BODY, "parameters": [_PREFER, _WAIT, IDEMPOTENCY_KEY, PRIORITY]}
SUBMIT_REQUEST: Json = {**_BODY, "parameters": [_PREFER, IDEMPOTENCY_KEY, PRIORITY]}
EVENTS_REQUEST: Json = {
    "parameters": [
        _parameter(
            "Last-Event-ID",
            "header",
            {"type": "string", "pattern": "^[0-9]{1,15}$"},
            "The id of the last event that was read; the next one is the first of the answer",
        )
    ]
}
RESULT_REQUEST: Json = {"parameters": [_PREFER, _WAIT]}
