"""The straight line of a job: begin, call, save, keep a copy, tell."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from loguru import logger

from shared.domain.caching import CACHE_MISS, must_be_cached
from shared.domain.errors import ErrorCode, JobError
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded
from shared.limits import JobLimits
from shared.ports import (
    Begun,
    Conflicting,
    Deleted,
    EventSink,
    Finished,
    Held,
    JobRuns,
    ResultLogUnavailable,
    Run,
    StoreUnavailable,
    StreamWriter,
)
from worker.answer_stream import answer_stream
from worker.call_sharing import CallSharing, Share
from worker.job_events import failure_event, job_event
from worker.job_log import about, log_end
from worker.leases import Hold, Leases
from worker.ports import CallHistory, Completion, LLMError, PatientLLMClient, ResultLog
from worker.run_meter import RunMeter
from worker.run_report import (
    CONFLICT,
    CRASHED,
    DELETED,
    UNKNOWN_OUTCOME,
    RunReport,
    provider_error,
    too_many_runs,
)

_RUNNING_HERE_SECONDS = 0.5
_STORE_AWAY_SECONDS = 1.0
_BEGIN_TRIES = 10


@dataclass(frozen=True, slots=True)
class Done:
    """The job needs nothing more of this record."""

    is_duplicate: bool = field(default=False, compare=False)
    """It had ended before."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The job is in other hands, or the store is away: come back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Poisoned:
    """The job keeps killing workers; it has failed and its record is for people to see."""

    error: JobError


Outcome = Done | LookAgain | Poisoned


class Processor(Protocol):
    """Who executes jobs."""

    async def process(self, job: Job, *, may_have_run: bool = False) -> Outcome: ...


class JobProcessor:
    """Executes jobs, each at least once and stored once."""

    def __init__(
        self,
        store: JobRuns,
        log: ResultLog,
        llm: PatientLLMClient,
        events: EventSink,
        leases: Leases,
        *,
        streams: StreamWriter,
        sharing: CallSharing,
        max_runs: int,
        store_away_seconds: float = _STORE_AWAY_SECONDS,
        limits: JobLimits | None = None,
        told_again: EventSink | None = None,
        hold_seconds: Callable[[Job], float] = lambda _: 0.0,
    ) -> None:
        self._store = store
        self._log = log
        self._llm = llm
        self._events = events
        self._leases = leases
        self._streams = streams
        self._sharing = sharing
        self._max_runs = max_runs
        self._store_away_seconds = store_away_seconds
        self._limits = limits
        self._told_again = told_again if told_again is not None else events
        """Takes facts about jobs that ended before; nobody counts them."""
        self._hold_seconds = hold_seconds
        """After which to look again at a job that could not be called now; 0: it may begin."""
        self.meter = RunMeter()
        self._processing: set[JobId] = set()

    async def process(self, job: Job, *, may_have_run: bool = False) -> Outcome:
        """Run `job` unless it has a result or somebody else runs it.

        `may_have_run`: another worker may have had it before; while the store is away, nobody can tell.
        """
        if job.id in self._processing:
            return LookAgain(_RUNNING_HERE_SECONDS)
        self._processing.add(job.id)
        try:
            is_suspect = may_have_run and not await self._store.is_available()
            if is_suspect and await self._must_wait(job):
                logger.bind(**about(job)).warning("job_waits_for_store")
                return LookAgain(self._store_away_seconds)
            needs_history = may_have_run and not is_suspect
            return await self._process(job, is_suspect=is_suspect, needs_history=needs_history)
        finally:
            self._processing.discard(job.id)

    async def _must_wait(self, job: Job) -> bool:
        """Only the store can say that it may be called again, or the log says that it has ended."""
        if job.on_unknown == "fail":
            return True
        try:
            return await self._log.has_ended(job.id, job.created_at.timestamp())
        except ResultLogUnavailable as fault:
            logger.bind(**about(job), fault=str(fault)).warning("results_not_read")
            return True

    async def _process(self, job: Job, *, is_suspect: bool, needs_history: bool) -> Outcome:
        run = Run(job.id, secrets.token_hex(16), job.fingerprint)
        async with self._sharing.share(run, job) as share:
            if share.look_again_seconds is not None:
                return LookAgain(share.look_again_seconds)
            needs_call = share.answer is None and not must_be_cached(job)
            if needs_call and (seconds := self._hold_seconds(job)):
                return LookAgain(seconds)
            return await self._process_alone(
                job, run, share, is_suspect=is_suspect, needs_history=needs_history
            )

    async def _process_alone(
        self, job: Job, run: Run, share: Share, *, is_suspect: bool, needs_history: bool
    ) -> Outcome:
        match await self._begin(run, job, needs_history=needs_history):
            case Begun() as begun:
                report = RunReport(job, begun, is_suspect=is_suspect and not begun.knows_history)
                with self._leases.hold(run) as hold, self.meter.run():
                    return await self._run(job, begun, report, hold, share)
            case Held(seconds):
                return LookAgain(seconds)
            case Finished(result):
                await self._copy(run, result)  # for a direct producer who sent it again
                self._tell(job, result, self._told_again)  # who ended it may have died before it could
                return Done(is_duplicate=True)
            case Deleted():
                return self._refuse(job, DELETED)
            case Conflicting():
                return self._refuse(job, CONFLICT)
            case None:
                return LookAgain(self._store_away_seconds)

    async def _begin(
        self, run: Run, job: Job, *, needs_history: bool
    ) -> Begun | Held | Finished | Conflicting | Deleted | None:
        """The same run tries again: if only the reply got lost, the store knows its token."""
        for _ in range(_BEGIN_TRIES):
            try:
                return await self._store.begin(
                    run,
                    self._leases.lease_seconds,
                    job.deadline,
                    asked_at=job.created_at,
                    needs_history=needs_history,
                )
            except StoreUnavailable as fault:
                logger.bind(**about(job), fault=str(fault)).warning("job_waits_for_store")
                await asyncio.sleep(self._store_away_seconds)
        return None

    async def _run(self, job: Job, begun: Begun, report: RunReport, hold: Hold, share: Share) -> Outcome:
        result = await self._execute(job, begun, report, hold, share)
        stored = await self._save(begun.run, result)
        if stored is None:
            return LookAgain(_RUNNING_HERE_SECONDS)
        await self._copy(begun.run, stored)
        is_own = stored.completed_at == result.completed_at
        self._tell(job, stored, self._events if is_own else self._told_again)
        if isinstance(stored, Failed) and stored.error.error_code is ErrorCode.TOO_MANY_RUNS:
            return Poisoned(stored.error)
        return Done()

    async def _execute(
        self, job: Job, begun: Begun, report: RunReport, hold: Hold, share: Share
    ) -> Succeeded | Failed:
        ended = self._ended_before_call(job, begun, report, share)
        if ended is None and (refusal := await self._over_limit(job)) is not None:
            ended = report.failed(refusal)
        if ended is not None:
            return ended
        end = await self._call(job, begun, report, hold)
        await share.ended(end)  # first: who sees the result may ask the same again
        return end

    async def _call(self, job: Job, begun: Begun, report: RunReport, hold: Hold) -> Succeeded | Failed:
        remaining_seconds = (job.deadline - report.started_at).total_seconds()
        history = CallHistory(report.first_attempt)
        try:
            async with hold.until_cancelled(remaining_seconds):
                return report.succeeded(await self._ask(job, begun.run, history), history)
        except TimeoutError:
            end = report.cancelled if hold.is_cancelled else report.expired
            return end("while it was running", history)
        except LLMError as fault:
            return report.failed(provider_error(fault, job), fault, history)
        except Exception:
            logger.bind(**about(job)).exception("job_crashed")
            return report.failed(CRASHED)

    async def _ask(self, job: Job, run: Run, history: CallHistory) -> Completion:
        if not job.is_streamed:
            return await self._llm.complete(job, history)
        async with answer_stream(self._streams, run) as partial:
            return await self._llm.complete(job, history, partial)

    def _ended_before_call(
        self, job: Job, begun: Begun, report: RunReport, share: Share
    ) -> Succeeded | Failed | None:
        if begun.is_cancelled:
            return report.cancelled("before it could start")
        if job.deadline <= report.started_at:
            return report.expired("before it could start")
        if job.refusal is not None:
            return report.failed(job.refusal)
        if share.answer is not None:
            return report.shared(share.answer)
        if must_be_cached(job):
            return report.failed(CACHE_MISS)
        if begun.interrupted_runs >= self._max_runs:
            return report.failed(too_many_runs(begun.interrupted_runs))
        if begun.interrupted_runs and job.on_unknown == "fail":
            return report.failed(UNKNOWN_OUTCOME)
        return None

    async def _over_limit(self, job: Job) -> JobError | None:
        """A job that a gateway admitted holds already; a direct producer's takes its hold here."""
        if self._limits is None:
            return None
        admission = await self._limits.take(job)
        return admission.refusal if admission is not None else None

    async def _save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        """The answer is paid for: it is kept until the store takes it."""
        while True:
            try:
                if self._limits is None:
                    return await self._store.save(run, result)
                return await self._settle_and_save(self._limits, run, result)
            except StoreUnavailable as fault:
                logger.bind(**run.id._asdict(), fault=str(fault)).warning("result_waits_for_store")
                await asyncio.sleep(self._store_away_seconds)

    async def _settle_and_save(
        self, limits: JobLimits, run: Run, result: Succeeded | Failed
    ) -> Succeeded | Failed | None:
        """In this order: who sees the result may send the next job. Both go out in one round trip."""
        _, stored = await asyncio.gather(limits.settle(run.id, result), self._store.save(run, result))
        return stored

    async def _copy(self, run: Run, result: Succeeded | Failed) -> None:
        """Before the record is finished: a store that loses data must find every result in the log."""
        while True:
            try:
                return await self._log.append(run, result)
            except ResultLogUnavailable as fault:
                logger.bind(**run.id._asdict(), fault=str(fault)).warning("result_waits_for_log")
                await asyncio.sleep(self._store_away_seconds)

    def _tell(self, job: Job, result: Succeeded | Failed, events: EventSink) -> None:
        events.emit(job_event(job, result))
        if isinstance(result, Failed):
            events.emit(failure_event(job.id.request_id, result.error, result.attempts, job.id.owner))
        if job.is_direct:
            log_end(job, result)

    def _refuse(self, job: Job, error: JobError) -> Outcome:
        """A record whose id is taken: said, and left alone."""
        self._events.emit(failure_event(job.id.request_id, error, 0, job.id.owner))
        return Done()
