"""The span of a request: how it is named, what fails it, and what it never tells."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.ports import QueueUnavailable
from gateway.queue.traced_job_queue import TracedJobQueue
from gateway.traced_requests import TracedRequests
from shared.domain.job import Job
from tests.support.jobs import make_job
from tests.support.told_spans import ToldSpans, attributes_of, told_spans
from tests.unit.gateway.gateway_in_process import gateway_in_process

KEY = "sk-0123456789abcdef0123456789"


@pytest.fixture
def told() -> Iterator[ToldSpans]:
    with told_spans() as told:
        yield told


async def test_a_request_is_told_by_its_route_and_without_what_a_caller_may_have_pasted(
    told: ToldSpans,
) -> None:
    request_id = str(uuid4())
    async with gateway_in_process(told.tracing) as gateway:
        await gateway.http.get(
            f"/result/{request_id}?key={KEY}", headers={"user-agent": KEY, "tracestate": KEY, "host": KEY}
        )
    attributes = attributes_of(told.only)
    assert told.only.name == "GET /result/{request_id}"
    assert attributes["http.route"] == "/result/{request_id}"
    assert attributes["url.path"] == f"/result/{request_id}"
    assert attributes["http.response.status_code"] == 404
    assert told.only.status.is_unset  # what a caller did wrong is no fault of the service
    assert KEY not in told.only.to_json()


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
async def test_probes_are_not_told(told: ToldSpans, path: str) -> None:
    async with gateway_in_process(told.tracing) as gateway:
        assert (await gateway.http.get(path)).status_code == 200
    assert told.spans == []


@pytest.mark.parametrize(
    ("method", "name", "told_method"), [("GET", "GET", "GET"), (KEY.upper(), "HTTP", "_OTHER")]
)
async def test_an_unknown_path_or_method_names_no_series(
    told: ToldSpans, method: str, name: str, told_method: str
) -> None:
    async with gateway_in_process(told.tracing) as gateway:
        await gateway.http.request(method, f"/{KEY}")
    assert told.only.name == name
    assert attributes_of(told.only)["http.request.method"] == told_method
    assert KEY not in told.only.to_json()


async def test_a_fault_of_ours_fails_the_span(told: ToldSpans) -> None:
    async with gateway_in_process(told.tracing) as gateway:
        gateway.app.state.gateway = None  # whatever is asked will crash
        response = await gateway.http.post("/invoke", json={"user_prompt": "x"})
    assert (response.status_code, attributes_of(told.only)["error.type"]) == (500, "500")
    assert response.json()["error"]["trace_id"] == f"{told.only.context.trace_id:032x}"


async def test_a_caller_that_left_fails_the_span(told: ToldSpans) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Nobody is there to be answered."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/invoke", "headers": [], "state": {}}
    await TracedRequests(app, tracing=told.tracing)(scope, receive, send)
    assert attributes_of(told.only)["error.type"] == "client_left"


async def test_a_job_carries_the_span_of_its_sending(told: ToldSpans) -> None:
    class Queue:
        def __init__(self) -> None:
            self.jobs: list[Job] = []

        async def enqueue(self, job: Job) -> None:
            if self.jobs:
                raise QueueUnavailable("away")
            self.jobs.append(job)

        async def is_available(self) -> bool:
            return True

    inner, job = Queue(), make_job()
    queue = TracedJobQueue(inner, told.tracing, "kafka", "jobs")
    await queue.enqueue(job)
    with pytest.raises(QueueUnavailable):
        await queue.enqueue(job)
    sent, failed = told.spans
    (handed_on,) = inner.jobs
    assert handed_on.traceparent is not None
    _, trace_id, span_id, flags = (int(part, 16) for part in handed_on.traceparent.split("-"))
    assert (trace_id, span_id) == (sent.context.trace_id, sent.context.span_id)
    assert flags & 1  # sampled
    assert handed_on.fingerprint == job.fingerprint
    assert attributes_of(failed)["error.type"] == "QueueUnavailable"
    assert await queue.is_available()
