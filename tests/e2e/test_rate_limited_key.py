"""A storm of 429: fewer calls of that key at once, more again after it, and nothing lost."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import provider_settings
from tests.support.provider_ledger import Call
from tests.support.provider_process import ScriptedProvider
from tests.support.service_processes import one_process

pytestmark = pytest.mark.campaign

AT_ONCE, JOBS, REFUSED = 32, 400, 24


def most_at_once(calls: Sequence[Call]) -> int:
    """Of these calls, at the provider."""
    steps = [(call.arrived_at, 1) for call in calls] + [(call.ended_at, -1) for call in calls]
    running = most = 0
    for _, step in sorted(steps):
        running += step
        most = max(most, running)
    return most


def test_a_storm_of_429_is_answered_with_fewer_calls_at_once(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    # Given a provider that refuses what comes first, after a while in which more is under way
    storm = {"status": 429, "retry_after": "0.2", "times": REFUSED, "latency_ms": 2000}
    provider.script(latency_ms=100, failures=[storm])
    settings = provider_settings(provider) | {"REDIS_ENABLED": "false", "WORKER_CONCURRENCY": f"{AT_ONCE}"}
    with (
        one_process(tmp_path, **settings) as service,
        ThreadPoolExecutor(8) as callers,
        httpx.Client(base_url=service.url, timeout=90) as http,
    ):

        def submit(_: int) -> str:
            answer = http.post("/submit", json={"user_prompt": f"{uuid4()}"})
            return str(answer.json()["request_id"])

        ids = list(callers.map(submit, range(JOBS)))
        answers = [http.get(f"/result/{each}?wait=60").json() for each in ids]

        # Then every job is answered, and every call of the ledger is an attempt of one of them
        assert all(answer["success"] for answer in answers)
        calls = provider.ledger()
        assert sum(answer["performance"]["attempts"] for answer in answers) == len(calls) == JOBS + REFUSED
        # And after the storm there are at most half as many calls at once, and then more
        last_refused = max(call.ended_at for call in calls if call.status == 429)
        before = most_at_once([call for call in calls if call.arrived_at <= last_refused])
        after = [call for call in calls if call.arrived_at > last_refused]
        first, last = most_at_once(after[:20]), most_at_once(after[-60:])
        print(f"calls at once: {before} in the storm, {first} after it, {last} at the end")
        assert first <= before // 2 + 1
        assert last > first
        figures = http.get("/metrics").text
        assert "llm_limited_keys 1.0" in figures
        assert "sk-service-own" not in figures
