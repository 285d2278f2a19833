"""Whatever is posted: an answer of ours, never a 5xx, and no key in it or in the log."""

from pathlib import Path

import httpx
import orjson

from gateway.error_responses import STATUS_OF_CODE
from shared.domain.errors import ErrorCode
from tests.fuzz.bodies import Posted, posted
from tests.fuzz.generation import cases
from tests.fuzz.json_texts import MARK
from tests.fuzz.report import Findings, counted
from tests.fuzz.written import search_written
from tests.support.service_processes import Service

_ERROR_FIELDS = {"error_type", "error_code", "message", "field", "details", "retryable", "trace_id"}


def fuzz_bodies(service: Service, folder: Path, count: int, seed: int) -> Findings:
    findings = Findings("posted bodies")
    with httpx.Client(base_url=service.url, timeout=60) as http:
        for case in counted(cases(posted(), count, seed), findings):
            response = _send(http, case)
            for fault in faults(response):
                findings.add(fault, f"{case!r:.900}\n{response.status_code} {response.text:.600}")
    search_written(folder, findings)
    return findings


def faults(response: httpx.Response) -> list[str]:
    """What no answer may be."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return [f"{response.status_code}: the answer is not JSON"]
    found = []
    if response.status_code >= 500:
        found.append(f"{response.status_code} {body['error']['error_code']}")
    if body["success"] != (response.status_code < 300):
        found.append(f"{response.status_code} with success={body['success']}")
    if not body["success"] and not _is_our_error(body, response.status_code):
        found.append(f"{response.status_code}: not the shape of an error")
    if MARK in response.text or any(MARK in value for value in response.headers.values()):
        found.append(f"{response.status_code}: the answer repeats a key")
    return found


def _is_our_error(body: dict[str, object], status: int) -> bool:
    error = body["error"]
    return (
        isinstance(error, dict)
        and set(error) == _ERROR_FIELDS
        and STATUS_OF_CODE[ErrorCode(error["error_code"])] == status
    )


def _send(http: httpx.Client, case: Posted) -> httpx.Response:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in case.headers.items()]
    return http.post(case.path, headers=headers, content=case.body)
