"""What stands on the topics, for who produces to them or reads them: AsyncAPI 3.0."""

import html
import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter

from gateway.answer_schemas import FailedAnswer, SucceededAnswer
from gateway.openapi import without_definitions
from gateway.settings import GatewaySettings
from shared.domain.events import JobFailed, JobFinished, ProviderCalled
from shared.domain.job import OWNER_RULE
from shared.domain.priority import lanes_of
from shared.wire import CE_TYPE, OWNER_HEADER, RESULT_CE_TYPE, SCHEMA, RequestRecord

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_HEADERS: Json = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {**_TEXT, "description": "The request id"},
    "ce_source": {**_TEXT, "description": "Who wrote the record"},
    "ce_time": {**_TEXT, "format": "date-time"},
    OWNER_HEADER: {**_TEXT, "description": f"The client whose job it is: {OWNER_RULE}"},
    "content-type": {"const": "application/json"},
}
_JOB_HEADERS: Json = {
    **_HEADERS,
    "ce_type": {"const": CE_TYPE},
    "ce_expirytime": {**_TEXT, "format": "date-time", "description": "Until when an answer is of use"},
    "traceparent": {**_TEXT, "description": "W3C Trace Context"},
    "llm_wait_ms": {**_TEXT, "description": "How long the caller waits; absent: nobody does"},
}
_RESULT_HEADERS: Json = {
    **_HEADERS,
    "ce_type": {"const": RESULT_CE_TYPE},
    "llm_fingerprint": {**_TEXT, "description": "SHA-256 of what was asked"},
    "llm_run": {**_TEXT, "description": "The run that ended"},
}
_LETTER_HEADERS: Json = {
    f"dlq_{name}": {**_TEXT, "description": meaning}
    for name, meaning in (
        ("reason", "The error code"),
        ("message", "What is wrong with it"),
        ("time", "When it was buried"),
        ("topic", "Where it came from"),
        ("partition", "Where it came from"),
        ("offset", "Where it came from"),
        ("redrives", "How often it was sent back"),
    )
}


def asyncapi_document(settings: GatewaySettings) -> Json:
    """The document under the operator's names of the topics."""
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": settings.llm_app_name,
            "version": settings.llm_version,
            "description": "Anyone who may write to the topic of the jobs can ask without HTTP, and read "
            "every answer. Headers are optional on what others produce. A record's key is the request id.",
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": address,
                "description": description,
                "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in kinds},
            }
            for name, address, description, kinds in _channels(settings)
        },
        "operations": {
            f"{action}_{name}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": summary,
            }
            for name, action, summary in _OPERATIONS
        },
        "components": {"messages": messages},
    }


def asyncapi_page(document: Json) -> str:
    """The same for people, in one page that needs nothing else."""
    channels = "".join(_channel_section(document, name) for name in document["channels"])
    info = document["info"]
    title = html.escape(f"{info['title']} {info['version']}: topics")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;"
        "margin:2rem auto;padding:0 1rem}pre{overflow:auto;border:1px solid;padding:1rem}</style>"
        f"<h1>{title}</h1><p>{html.escape(info['description'])}</p>"
        f'<p><a href="/asyncapi.json">asyncapi.json</a></p>{channels}</html>'
    )


def _channel_section(document: Json, name: str) -> str:
    channel = document["channels"][name]
    messages = "".join(
        f"<h3>{html.escape(each)}</h3><p>{html.escape(message['summary'])}</p>"
        f"<details><summary>Headers and value</summary><pre>{html.escape(_shown(message))}</pre></details>"
        for each in channel["messages"]
        for message in [document["components"]["messages"][each]]
    )
    return (
        f"<h2><code>{html.escape(channel['address'])}</code></h2>"
        f"<p>{html.escape(channel['description'])}</p>{messages}"
    )


def _shown(message: Json) -> str:
    return json.dumps({name: message[name] for name in ("headers", "payload")}, indent=2)


_OPERATIONS = (
    ("requests", "receive", "Execute a job"),
    ("requests_high", "receive", "Execute a job of high priority"),
    ("requests_low", "receive", "Execute a job of low priority"),
    ("results", "send", "Tell every result, also of jobs that came over HTTP"),
    ("metrics", "send", "One fact a provider attempt and one a job; no content, no key"),
    ("errors", "send", "One fact a failure; no content, no key"),
    ("dead_letters", "send", "Keep what can never become a result, for people to look at"),
)


def _channels(settings: GatewaySettings) -> Iterable[tuple[str, str, str, tuple[str, ...]]]:
    topics = lanes_of(settings.kafka_request_topic)
    return (
        ("requests", topics["normal"], "Jobs: the body of `POST /invoke`", ("job",)),
        ("requests_high", topics["high"], "Jobs with more of the workers than the others", ("job",)),
        ("requests_low", topics["low"], "Jobs with less of the workers than the others", ("job",)),
        (
            "results",
            settings.kafka_result_topic,
            "The answers, without prompts; the last record of a key is the one that counts",
            ("succeeded", "failed"),
        ),
        ("metrics", "llm-metrics", "Facts; `KAFKA_METRICS_TOPIC` of the workers", ("attempt", "finished")),
        ("errors", "llm-errors", "Facts; `KAFKA_ERROR_TOPIC` of the workers", ("failure",)),
        (
            "dead_letters",
            "llm-requests.dlq",
            "As they came, but for keys; `KAFKA_DEAD_LETTER_TOPIC` of the workers",
            ("letter",),
        ),
    )


def _messages() -> Json:
    return {
        "job": _message("A job that is asked for", _JOB_HEADERS, _model_schema(RequestRecord)),
        "succeeded": _message("A job that went well", _RESULT_HEADERS, _result_schema(SucceededAnswer)),
        "failed": _message("A job without an answer", _RESULT_HEADERS, _result_schema(FailedAnswer)),
        "attempt": _message("A provider attempt", {}, _fact_schema(ProviderCalled)),
        "finished": _message("The end of a job", {}, _fact_schema(JobFinished)),
        "failure": _message("A failure, or a record that was buried", {}, _fact_schema(JobFailed)),
        "letter": _message("A dead letter", _LETTER_HEADERS, {}),
    }


def _message(summary: str, headers: Json, payload: Json) -> Json:
    described = {"headers": {"type": "object", "properties": headers}} if headers else {"headers": {}}
    return {"summary": summary, "contentType": "application/json", **described, "payload": payload}


def _result_schema(model: type[BaseModel]) -> Json:
    """The answer over HTTP, said to nobody in particular."""
    schema = _model_schema(model)
    schema["properties"] |= {
        "schema": {"const": SCHEMA},
        "provider_answer": {"type": "object", "description": "All that the provider sent beside the message"},
        "total_ms": {"type": "number", "description": "From when the job was asked for to its end"},
        "retries": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "integer"},
            "description": "Calls that were repeated, by the error code of why",
        },
    }
    schema["properties"]["performance"]["properties"]["request_latency_ms"] = {"type": "null"}
    if "error" in schema["properties"] and "properties" in schema["properties"]["error"]:
        schema["properties"]["error"]["properties"].pop("trace_id")
        schema["properties"]["error"]["required"].remove("trace_id")
    return schema


def _model_schema(model: type[BaseModel]) -> Json:
    schema = model.model_json_schema(by_alias=True)
    return _inlined(schema)


def _fact_schema(kind: type[Any]) -> Json:
    return _inlined(TypeAdapter(kind).json_schema())


def _inlined(schema: Json) -> Json:
    definitions = {name: part for name, part in schema.get("$defs", {}).items() if name != "JsonValue"}
    inlined: Json = without_definitions(schema, definitions)
    return inlined
