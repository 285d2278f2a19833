"""What Prometheus reads."""

import json
from uuid import uuid4

import httpx

from tests.e2e.conftest import Cluster
from tests.e2e.test_lifecycle import until
from tests.support.processes import Child
from tests.support.service_processes import Service, logged

_COUNTER = "llm_possible_duplicate_calls_total"


def test_one_process_counts_what_may_have_been_charged_twice(memory_only: Service) -> None:
    before = _count(memory_only.url)
    _post_cut_once(memory_only.url)
    assert _count(memory_only.url) == before + 1


def test_a_worker_counts_what_may_have_been_charged_twice(cluster: Cluster) -> None:
    url = health_url(cluster.worker)
    before = _count(url)
    _post_cut_once(cluster.url)
    assert _count(url) == before + 1
    assert "python_info" in httpx.get(f"{cluster.url}/metrics").text, "a gateway has figures too"


def test_reading_the_figures_is_no_line_of_the_log(memory_only: Service) -> None:
    """Prometheus would write one every few seconds."""
    httpx.get(f"{memory_only.url}/metrics")
    path = f"/{uuid4()}"
    httpx.get(f"{memory_only.url}{path}")
    until(lambda: path in [line["path"] for line in logged(memory_only.child, "request_answered")])
    assert "/metrics" not in [line["path"] for line in logged(memory_only.child, "request_answered")]


def _post_cut_once(url: str) -> None:
    """A job whose first answer is lost on its way, and one that is not."""
    lost = httpx.post(f"{url}/invoke", json={"user_prompt": f"{uuid4()} [[cut times=1]]"}, timeout=60)
    assert (lost.status_code, lost.json()["possible_duplicate_charge"]) == (200, True)
    whole = httpx.post(f"{url}/invoke", json={"user_prompt": f"{uuid4()}"}, timeout=60)
    assert (whole.status_code, whole.json()["possible_duplicate_charge"]) == (200, False)


def _count(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"{_COUNTER} ")]
    return float(value)


def health_url(worker: Child) -> str:
    events = (json.loads(line) for line in worker.log().splitlines() if '"health_ready"' in line)
    return str(next(events)["url"])
