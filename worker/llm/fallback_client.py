"""Other models, when the one that was asked for is away."""

from collections.abc import Sequence
from dataclasses import replace

from loguru import logger

from shared.domain.job import Job
from worker.llm.retrying_client import RetryingClient, note_history
from worker.ports import (
    CallHistory,
    Completion,
    LLMError,
    ModelUnavailable,
    OutcomeUnknown,
    Partial,
    Unavailable,
)


class FallbackClient:
    """`PatientLLMClient` that asks the next model; around the retries, each model has its own.

    The answer's `model` says who spoke. A failure is that of the model which was asked for.
    """

    def __init__(self, inner: RetryingClient, models: Sequence[str]) -> None:
        self._inner = inner
        self._models = models

    async def complete(self, job: Job, history: CallHistory, partial: Partial | None = None) -> Completion:
        others = [model for model in self._models if model != job.model]
        try:
            return await self._inner.complete(job, history, partial, stays=not others)
        except LLMError as fault:
            if not others or not _is_away(fault, job):
                raise
            first = fault
        completion = await self._ask_others(job, others, history, partial)
        if completion is not None:
            return completion
        if self._inner.is_shut(job):  # as if there were no others: who may stay waits for its own model
            return await self._inner.complete(job, history, partial)
        note_history(first, history)
        raise first

    async def _ask_others(
        self, job: Job, models: Sequence[str], history: CallHistory, partial: Partial | None
    ) -> Completion | None:
        for model in models:
            other = replace(job, model=model, fallback_for=job.model)
            try:
                completion = await self._inner.complete(other, history, partial, stays=False)
            except LLMError as fault:
                if isinstance(fault, OutcomeUnknown) and job.on_unknown == "fail":
                    raise
                logger.bind(model=job.model, fallback=model, reason=fault.code).debug("fallback_failed")
                if not _is_away(fault, job):
                    return None
            else:
                return replace(completion, is_fallback=True)
        return None


def _is_away(fault: LLMError, job: Job) -> bool:
    """Another model may do better. After an unknown outcome only if the job may be called again."""
    if isinstance(fault, OutcomeUnknown):
        return job.on_unknown == "retry"
    return isinstance(fault, Unavailable | ModelUnavailable)
