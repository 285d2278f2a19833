"""What callers saw."""

from collections.abc import Iterable

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import OfferedJob, as_first_answered, body_of, status_of, unchanging_bytes
from tests.chaos.violation import shown, story

_WAKE_SECONDS = 5.0


def every_offer_accepted(evidence: Evidence) -> Iterable[str]:
    return (f"{job.request_id} {job.refusals}" for job in evidence.jobs if job.accepted_at is None)


def lost(evidence: Evidence) -> list[str]:
    """Jobs that were accepted and have neither a success nor an end that their caller asked for."""
    return [
        f"{job.request_id} {story(evidence, job)}, last seen: "
        f"{shown(job.first_read) if job.first_read else 'not ended'}"
        for job in evidence.accepted
        if evidence.is_lost(job)
    ]


def own_answer(evidence: Evidence) -> Iterable[str]:
    for job in _succeeded(evidence):
        assert job.first_read
        body = body_of(job.first_read)
        expected = (True, job.request_id, f"echo: {job.prompt}")
        if (body["success"], body["request_id"], body["data"]["response"]) != expected:
            yield f"{job.request_id} answered {body['data']['response']!r}"


def changed(evidence: Evidence) -> list[str]:
    """Results that were read twice and were not the same."""
    return [
        f"{job.request_id} first {shown(job.first_read)} then {shown(job.second_read)}"
        for job in evidence.jobs
        if job.first_read
        and (job.second_read is None or unchanging_bytes(job.first_read) != unchanging_bytes(job.second_read))
    ]


def who_waited_got_the_stored_answer(evidence: Evidence) -> Iterable[str]:
    """Twins that both wait are told the same therefore."""
    for job in evidence.jobs:
        for posted in (job.posted, job.posted_again):
            if job.first_read is None or posted is None or status_of(posted) != job.status:
                continue
            if as_first_answered(posted) != as_first_answered(job.first_read):
                yield f"{job.request_id} waited for {shown(posted)}, stored is {shown(job.first_read)}"


def who_waits_is_told(evidence: Evidence) -> Iterable[str]:
    for job in evidence.accepted:
        late_seconds = evidence.wake_seconds(job)
        if late_seconds is not None and late_seconds > _WAKE_SECONDS:
            assert job.posted
            yield f"{job.request_id} was told {job.posted.status} {late_seconds:.1f} s after its result"


def _succeeded(evidence: Evidence) -> Iterable[OfferedJob]:
    return (job for job in evidence.jobs if job.status == "succeeded")
