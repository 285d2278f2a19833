"""A processor of jobs for tests: what a test is not about is in memory, or off."""

from typing import Any

from shared.adapters.memory_answer_streams import MemoryAnswerStreams
from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.domain.caching import CachePolicy
from shared.ports import EventSink, JobRuns
from worker.call_sharing import CallSharing
from worker.leases import Leases
from worker.ports import PatientLLMClient, ResultLog
from worker.result_log import NoResultLog
from worker.service import JobProcessor


def make_processor(
    store: JobRuns,
    llm: PatientLLMClient,
    sink: EventSink,
    leases: Leases,
    *,
    log: ResultLog | None = None,
    **more: Any,
) -> JobProcessor:
    """With three runs, and no log and no sharing of calls, unless `more` says otherwise."""
    sharing = CallSharing(MemoryResponseCache(1), CachePolicy("off", 1))
    usual = {"max_runs": 3, "streams": MemoryAnswerStreams(), "sharing": sharing}
    return JobProcessor(store, log or NoResultLog(), llm, sink, leases, **{**usual, **more})
