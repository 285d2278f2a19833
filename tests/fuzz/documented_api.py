"""Schemathesis: what `/openapi.json` says is what the service does."""

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.fuzz.generation import cases
from tests.fuzz.report import Findings, counted

Operation = APIOperation[Any, Any, Any, Any]
Check = Callable[[Any, Any, Any], bool | None]

_CHUNK = 50
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
# What no schema can say: two valid fields contradict each other, or only unassigned characters are there,
# which one library's tables call invisible and another's do not.
_BEYOND_SCHEMAS = ("REQUEST_ID_MISMATCH", "system_prompt and a system message", "visible character")


def documented_status(_: Any, response: Any, case: Any) -> None:
    """Stricter than `status_code_conformance`: a range such as 4XX allows nothing."""
    codes = case.operation.responses.status_codes
    assert str(response.status_code) in codes, f"{response.status_code} is not one of {', '.join(codes)}"


def accepts_valid_data(context: Any, response: Any, case: Any) -> bool | None:
    if any(word in response.text for word in _BEYOND_SCHEMAS):
        return None
    return positive_data_acceptance(context, response, case)


CHECKS: list[Check] = [
    not_a_server_error,
    status_code_conformance,
    documented_status,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    accepts_valid_data,
    unsupported_method,
]


def fuzz_documented_api(url: str, count_of_cases: int, seed: int) -> Findings:
    """Every operation of the document, with data that it allows and data that it forbids."""
    findings = Findings("documented API")
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    sources = [_coverage(schema, operation) for operation in operations]
    sources += [_drawn(operation, seed) for operation in operations]
    wanted = islice(_in_turn(sources), count_of_cases)
    with requests.Session() as session:
        for case in counted(wanted, findings):
            try:
                response = case.call(base_url=url, session=session)
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as group:
                for failure in group.exceptions:
                    findings.add(f"{case.operation.label}: {failure}", _exchange(response))
    return findings


def _exchange(response: Any) -> str:
    sent = response.request
    return f"{sent.method} {sent.url} {sent.body!r:.600}\n{response.status_code} {response.text:.600}"


def _coverage(schema: Any, operation: Operation) -> Iterator[Any]:
    """Boundaries of every field and the methods that are not there: always the same cases."""
    generation = schema.config.generation_for(operation=operation)
    yield from schema.iter_coverage_cases(
        operation, generation_modes=list(_MODES), generation_config=generation
    )


def _drawn(operation: Operation, seed: int) -> Iterator[Any]:
    if not operation.body and not any(operation.iter_parameters()):
        return  # one request, and the boundaries hold it
    for turn in count(seed):
        for mode in _MODES:
            yield from cases(operation.as_strategy(generation_mode=mode), _CHUNK, turn)


def _in_turn(sources: list[Iterator[Any]]) -> Iterator[Any]:
    """One of each, until the last is exhausted."""
    while sources:
        left = []
        for source in sources:
            for case in islice(source, 1):
                yield case
                left.append(source)
        sources = left
