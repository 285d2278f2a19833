"""What `/stats` says of the whole service, told by any gateway, also after a restart."""

from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.conftest import Cluster
from tests.e2e.test_lifecycle import until
from tests.support.event_stream import events_of
from tests.support.service_processes import gateway


def ask(url: str, prompt: str, **more: object) -> dict[str, Any]:
    body: dict[str, Any] = httpx.post(
        f"{url}/invoke", json={"user_prompt": prompt, **more}, timeout=60
    ).json()
    return body


def total(url: str) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{url}/stats").json()["total"]
    return told


def test_what_gateways_saw_and_workers_did_is_told_by_a_gateway_that_is_new(
    cluster: Cluster, tmp_path: Path
) -> None:
    prompt = f"counted {uuid4()}"
    before = total(cluster.url)
    answers = [ask(cluster.url, f"{prompt} {number}") for number in range(3)]
    again = ask(cluster.url, f"{prompt} 0", request_id=answers[0]["request_id"])
    assert again["cached"]
    limited = ask(cluster.url, f"{prompt} [[status=429 times=1 retry_after=0.05]]")
    assert limited["performance"]["retry_count"] == 1
    httpx.post(f"{cluster.url}/invoke", json={"user_prompt": ""})
    with gateway(tmp_path, "later", **cluster.settings) as later:
        until(lambda: total(later.url)["requests"]["refused"] > before["requests"]["refused"])
        after, minute = total(later.url), httpx.get(f"{later.url}/stats").json()["last_1_minute"]

    def grown(*path: str) -> float:
        was, now = before, after
        for step in path:
            was, now = was.get(step, 0) if isinstance(was, dict) else 0, now[step]
        return float(now) - float(was)  # type: ignore[arg-type]

    assert grown("requests", "succeeded") == 4 <= minute["requests"]["succeeded"]  # others ask too
    assert grown("requests", "replayed") == 1
    assert grown("provider_calls") == 5
    assert grown("retries", "UPSTREAM_RATE_LIMITED") == 1
    paid = [*answers, limited]
    for name in ("prompt_tokens", "completion_tokens"):
        assert grown("tokens", name) == sum(answer["usage"][name] for answer in paid)
    dollars = sum(answer["cost_usd"] for answer in paid)
    assert abs(grown("cost_usd") - dollars) < len(paid) * 1e-9
    assert after["since"] == before["since"]
    assert after["latency_ms"]["end_to_end"]["p50"] > 0


def test_the_stream_tells_the_hour_at_first_and_then_what_changed(http: httpx.Client) -> None:
    ask(str(http.base_url).rstrip("/"), "seen")
    with http.stream("GET", "/stats/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        first, second = islice(events_of(response.iter_lines()), 2)
    assert first.name == second.name == "stats"
    assert sum(point["requests"]["succeeded"] for point in first.data["points"]) > 0
    assert len(second.data["points"]) <= len(first.data["points"])
    assert second.data["timestamp"] > first.data["timestamp"]
