"""The one line that says how the service is."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.verdict import Evidence, verdict
from shared.domain.queue_load import QueueLoad
from shared.domain.replica import Replica, ReplicaReport, ReplicaState

WORKER = ReplicaReport(
    kind="worker", name="w", version="1", started_at=datetime.now(UTC), state="well", busy=0, room=10
)
ALL_WELL = Evidence(
    is_distributed=True,
    is_queue_available=True,
    is_store_available=True,
    load=QueueLoad(lag=0, running=2, drain_per_second=5),
    max_wait_seconds=300,
    succeeded=100,
    errors={},
    replicas=[Replica(WORKER, 0.5)],
)


def told(**changes: object) -> tuple[str, list[str]]:
    said = verdict(replace(ALL_WELL, **changes))  # type: ignore[arg-type]
    return said["state"], said["reasons"]


def waiting(lag: int) -> QueueLoad:
    return QueueLoad(lag=lag, running=2, drain_per_second=5)


def test_where_nothing_speaks_against_it_all_is_well() -> None:
    assert told() == ("well", [])
    assert told(succeeded=0, replicas=[], is_distributed=False, load=None) == ("well", [])


def test_without_kafka_no_job_is_accepted() -> None:
    assert told(is_queue_available=False) == ("failing", ["Kafka does not answer: no new job is accepted"])
    state, [reason] = told(is_queue_available=False, is_distributed=False)
    assert (state, reason) == ("failing", "The queue in memory is full: no new job is accepted")


def test_without_redis_jobs_go_on_and_nobody_knows_the_workers() -> None:
    state, reasons = told(is_store_available=False, load=None, replicas=[])
    assert (state, reasons) == (
        "degraded",
        ["Redis does not answer: each process knows only the ids it has seen"],
    )


def test_without_a_worker_accepted_jobs_wait() -> None:
    assert told(load=None) == ("failing", ["No worker reports: accepted jobs wait"])


@pytest.mark.parametrize(
    ("lag", "state", "reason"),
    [
        (49, "well", ""),
        (50, "degraded", "A new job waits 10 s for its turn"),
        (1600, "failing", "A new job would wait 320 s for its turn: new jobs are refused"),
    ],
)
def test_a_long_queue_is_said(lag: int, state: str, reason: str) -> None:
    assert told(load=waiting(lag)) == (state, [reason] if reason else [])
    if state == "failing":
        assert told(load=waiting(lag), max_wait_seconds=0.0)[0] == "degraded"  # nobody is refused


@pytest.mark.parametrize(
    ("faults", "succeeded", "state"),
    [
        (2, 0, "well"),
        (3, 0, "failing"),
        (3, 3, "failing"),
        (3, 4, "degraded"),
        (5, 95, "degraded"),
        (5, 96, "well"),
    ],
)
def test_faults_of_service_and_provider_count_by_their_share(faults: int, succeeded: int, state: str) -> None:
    assert told(errors={"UPSTREAM_TIMEOUT": faults}, succeeded=succeeded)[0] == state


def test_the_reason_names_the_error_that_was_seen_most() -> None:
    errors = {"UPSTREAM_TIMEOUT": 8, "INTERNAL_ERROR": 2, "CONTENT_POLICY": 500}
    reason = "10 of 100 jobs failed in the last minute (10%), most with UPSTREAM_TIMEOUT"
    assert told(errors=errors, succeeded=90) == ("degraded", [reason])


def test_what_callers_did_wrong_says_nothing_of_the_service() -> None:
    errors = {"CONTENT_POLICY": 500, "UNAUTHORIZED": 500, "JOB_CANCELLED": 20, "LIMIT_EXCEEDED": 500}
    assert told(errors=errors, succeeded=0) == ("well", [])


def replica(state: ReplicaState, silent_seconds: float = 0) -> Replica:
    return Replica(WORKER.model_copy(update={"state": state}), silent_seconds)


def test_replicas_that_are_silent_or_cut_off_are_counted_and_those_that_leave_are_not() -> None:
    silent = [replica("well", 6), replica("leaving", 7)]
    assert told(replicas=silent) == ("degraded", ["2 workers are silent"])
    assert told(replicas=[replica("no kafka")]) == ("degraded", ["1 worker is cut off from Kafka"])
    assert told(replicas=[replica("leaving")]) == ("well", [])


def test_the_worst_reason_comes_first() -> None:
    state, reasons = told(replicas=[replica("well", 6)], is_store_available=False, is_queue_available=False)
    assert state == "failing"
    assert [reason.split()[0] for reason in reasons] == ["Kafka", "Redis", "1"]
