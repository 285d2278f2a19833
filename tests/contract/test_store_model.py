"""Every step in every order: stores against the model of their ports.

The same few sequences every day; `HYPOTHESIS_PROFILE=long` draws thousands of new ones.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from shared.domain.errors import ErrorCode
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded, may_run_again
from shared.ports import Finished, Held, Pending, Reserved, ResultWatch, Run
from tests.conftest import missing
from tests.contract.examples import ANOTHER_QUESTION, QUESTION, failure_of, run_of, success_of
from tests.contract.passing_time import TimedStores, timed_memory_store, timed_redis_stores
from tests.contract.result_stores import RETENTION
from tests.contract.store_model import StoreModel
from tests.support.availability import Unavailable
from tests.support.redis_servers import find_redis, find_valkey
from tests.support.running import RunningServers

# Every sum of the steps of time is at least ten seconds away from every end that they could meet.
STEPS = (70.0, 3640.0)
LEASE = 100.0
DEADLINE = 1000.0
AGES = (0.0, 1800.0, 4000.0)
"""Of copies: new, older, past the retention."""
ASKED = st.sampled_from([None, 0.0, -1.0, 2000.0])
"""Seconds since somebody asked for a run: not told, now, later than every result so far, long ago."""
KEPT = RETENTION.total_seconds()
PENDING = DEADLINE + KEPT
SLACK = 10.0
WOKEN_SECONDS = 4.0

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SETTINGS = settings(
    max_examples=2000 if IS_LONG else 80,
    stateful_step_count=30,
    derandomize=not IS_LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

# Mostly one id, so that steps meet.
JOBS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3])
SIDES = st.integers(0, 1)
QUESTIONS = st.sampled_from([QUESTION] * 7 + [ANOTHER_QUESTION])
CLAIMS = st.sampled_from(["claim", "another claim"])
ENDS = st.sampled_from(["success", "may pass", "may pass", "final", "cancelled"])
CALLS = st.integers(0, 3)

Await = Callable[[Coroutine[Any, Any, Any]], Any]


class StoreMachine(RuleBasedStateMachine):
    """Four ids of two owners, two questions, a gateway and two workers, of which each may be late."""

    def __init__(self, timed: TimedStores, wait_for: Await) -> None:
        super().__init__()
        self.timed, self.wait_for = timed, wait_for
        self.gateway = timed.stores[0]
        request_ids = str(uuid4()), str(uuid4())
        self.jobs = [JobId(owner, request_id) for owner in ("me", "you") for request_id in request_ids]
        self.model = StoreModel(KEPT)
        self.runs: dict[tuple[int, JobId], list[Run]] = {}
        self.watches: dict[JobId, list[tuple[AbstractContextManager[ResultWatch], ResultWatch]]] = {}
        self.seen: dict[JobId, Succeeded | Failed] = {}
        self.results = 0

    @initialize()
    def count_from_here(self) -> None:
        self.totals_before = self.wait_for(self.gateway.totals())

    # --- What a gateway does ---

    @rule(job=JOBS, question=QUESTIONS, claim=CLAIMS, is_watching=st.booleans())
    def reserve(self, job: int, question: str, claim: str, is_watching: bool) -> None:
        job_id, told = self.jobs[job], self.timed.now() + timedelta(seconds=DEADLINE)
        watch = self.open_watch(job_id) if is_watching else None
        answer = self.wait_for(self.gateway.reserve(job_id, question, claim, told))
        assert answer == self.model.reserve(job_id, question, claim, told + RETENTION, PENDING)
        if answer == Reserved():
            self.seen.pop(job_id, None)
        if watch and not isinstance(answer, Reserved | Pending):
            self.close_watches(job_id, only=watch)

    @rule(job=JOBS, claim=CLAIMS)
    def release(self, job: int, claim: str) -> None:
        self.wait_for(self.gateway.release(self.jobs[job], claim))
        self.model.release(self.jobs[job], claim)

    @rule(job=JOBS, claim=CLAIMS)
    def ask_and_give_back(self, job: int, claim: str) -> None:
        """What a gateway does whose queue is away."""
        self.reserve(job, QUESTION, claim, False)
        self.release(job, claim)

    @rule(job=JOBS)
    def watch(self, job: int) -> None:
        watch = self.open_watch(self.jobs[job])
        if not isinstance(self.wait_for(self.gateway.get(self.jobs[job])), Pending):
            self.close_watches(self.jobs[job], only=watch)

    @rule(job=JOBS)
    def cancel(self, job: int) -> None:
        assert self.wait_for(self.gateway.cancel(self.jobs[job])) == self.model.cancel(self.jobs[job])

    @rule(job=JOBS)
    def delete(self, job: int) -> None:
        assert self.wait_for(self.gateway.delete(self.jobs[job])) == self.model.delete(self.jobs[job])

    # --- What a worker does ---

    @rule(worker=SIDES, job=JOBS, question=QUESTIONS, is_new=st.booleans(), asked=ASKED)
    def begin(self, worker: int, job: int, question: str, is_new: bool, asked: float | None) -> None:
        run = self.new_run(worker, job, question) if is_new else self.run_of(worker, job, 0)
        told = self.timed.now() + timedelta(seconds=DEADLINE)
        asked_at = self.timed.now() - timedelta(seconds=asked) if asked is not None else None
        answer = self.wait_for(self.timed.stores[worker].begin(run, LEASE, told, asked_at=asked_at))
        expected = self.model.begin(run, LEASE, told + RETENTION, PENDING, asked_at)
        if isinstance(answer, Held) and isinstance(expected, Held):
            assert abs(answer.seconds - expected.seconds) < SLACK
        else:
            assert answer == expected

    @rule(worker=SIDES, jobs=st.lists(JOBS, max_size=3, unique=True), age=SIDES)
    def renew(self, worker: int, jobs: list[int], age: int) -> None:
        runs = [self.run_of(worker, job, age) for job in jobs]
        answer = self.wait_for(self.timed.stores[worker].renew(runs, LEASE))
        expected = self.model.renew(runs, LEASE)
        assert (list(answer.lost), list(answer.cancelled)) == (expected.lost, expected.cancelled)

    @rule(worker=SIDES, job=JOBS, age=SIDES, end=ENDS, calls=CALLS)
    def save(self, worker: int, job: int, age: int, end: str, calls: int) -> None:
        run = self.run_of(worker, job, age)
        result = self.result_of(run, end, calls, 0.0)
        answer = self.wait_for(self.timed.stores[worker].save(run, result))
        assert answer == self.model.save(run, result)
        self.note(run, result, answer)

    @rule(worker=SIDES, job=JOBS, age=SIDES, end=ENDS, calls=CALLS, seconds=st.sampled_from(AGES))
    def restore(self, worker: int, job: int, age: int, end: str, calls: int, seconds: float) -> None:
        run = self.run_of(worker, job, age)
        result = self.result_of(run, end, calls, seconds)
        answer = self.wait_for(self.timed.stores[worker].restore(run, result))
        assert answer == self.model.restore(run, result, seconds)
        if answer == result and run.id in self.seen and may_run_again(self.seen[run.id]):
            self.seen.pop(run.id)
        self.note(run, result, answer)

    # --- What time does ---

    @rule(seconds=st.sampled_from(STEPS))
    def time_passes(self, seconds: float) -> None:
        self.wait_for(self.timed.pass_seconds(seconds, self.jobs))
        self.model.now += seconds

    # --- What always holds ---

    @invariant()
    def what_is_told_is_true(self) -> None:
        *answers, totals = self.wait_for(self.look())
        # Every id is as the model says.
        assert answers == [self.model.get(job_id) for job_id in self.jobs]
        # A result stays until it is asked for again.
        for job_id, answer in zip(self.jobs, answers, strict=True):
            if isinstance(answer, Finished):
                assert self.seen.setdefault(job_id, answer.result) == answer.result
            else:
                self.seen.pop(job_id, None)
        # The totals are the sum of what was stored.
        added = {name: amount - self.totals_before.get(name, 0) for name, amount in totals.items()}
        assert {name: amount for name, amount in added.items() if amount} == +self.model.totals

    async def look(self) -> list[Any]:
        store = self.timed.stores[1]
        return await asyncio.gather(*(store.get(job_id) for job_id in self.jobs), store.totals())

    def teardown(self) -> None:
        for job_id in list(self.watches):
            self.close_watches(job_id)
        self.wait_for(self.timed.pass_seconds(2 * PENDING, self.jobs))

    # --- The steps that the rules make ---

    def open_watch(self, job_id: JobId) -> ResultWatch:
        if self.model.get(job_id) is None:
            self.close_watches(job_id)  # they were for a job that is forgotten
        opened = self.gateway.watch(job_id)
        watch: ResultWatch = self.wait_for(_entered(opened))
        self.watches.setdefault(job_id, []).append((opened, watch))
        return watch

    def close_watches(self, job_id: JobId, only: ResultWatch | None = None) -> None:
        stay = []
        for opened, watch in self.watches.pop(job_id, []):
            if only in (None, watch):
                opened.__exit__(None, None, None)
            else:
                stay.append((opened, watch))
        if stay:
            self.watches[job_id] = stay

    def note(self, run: Run, result: Succeeded | Failed, stored: Succeeded | Failed | None) -> None:
        """Whoever watched a job whose result was stored just now has it."""
        if stored != result:
            return
        for _, watch in self.watches.get(run.id, []):
            assert self.wait_for(asyncio.wait_for(watch.result(), WOKEN_SECONDS)) == result
        self.close_watches(run.id)

    def new_run(self, worker: int, job: int, question: str = QUESTION) -> Run:
        run = run_of(self.jobs[job], question)
        self.runs.setdefault((worker, run.id), []).insert(0, run)
        return run

    def run_of(self, worker: int, job: int, age: int) -> Run:
        """The worker's last run, or the one before it; one that nobody knows if there was none."""
        runs = self.runs.get((worker, self.jobs[job]), [])
        return runs[age] if age < len(runs) else self.new_run(worker, job)

    def result_of(self, run: Run, end: str, calls: int, age_seconds: float) -> Succeeded | Failed:
        self.results += 1
        completed_at = self.timed.now() - timedelta(seconds=age_seconds)
        update = {"completed_at": completed_at, "metadata": {"number": f"{self.results}"}}
        return _RESULTS[end](run.id, calls).model_copy(update=update)


async def _entered(opened: AbstractContextManager[ResultWatch]) -> ResultWatch:
    return opened.__enter__()


_RESULTS: dict[str, Callable[[JobId, int], Succeeded | Failed]] = {
    "success": lambda job_id, calls: success_of(job_id, attempts=calls),
    "may pass": lambda job_id, calls: failure_of(job_id, attempts=calls),
    "final": lambda job_id, calls: failure_of(job_id, ErrorCode.CONTEXT_TOO_LONG, attempts=calls),
    "cancelled": lambda job_id, calls: failure_of(job_id, attempts=calls, status="cancelled"),
}


@pytest.fixture(params=["memory", "redis", "valkey"])
def opened(
    request: pytest.FixtureRequest, servers: RunningServers
) -> AbstractAsyncContextManager[TimedStores]:
    """Each store in turn."""
    try:
        match request.param:
            case "redis":
                return timed_redis_stores(servers.get(find_redis).url)
            case "valkey":
                return timed_redis_stores(servers.get(find_valkey).url)
            case _:
                return timed_memory_store()
    except Unavailable as reason:
        missing(str(reason))


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(1200 if IS_LONG else 180)
def test_a_store_does_what_its_ports_say_in_every_order(
    opened: AbstractAsyncContextManager[TimedStores], runner: asyncio.Runner
) -> None:
    wait_for = runner.get_loop().run_until_complete
    timed = wait_for(opened.__aenter__())
    try:
        machine: Any = partial(StoreMachine, timed, wait_for)  # typed as if it took classes alone
        run_state_machine_as_test(machine, settings=SETTINGS)
    finally:
        wait_for(opened.__aexit__(None, None, None))
