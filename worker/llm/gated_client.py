"""Calls go out when circuits and key allow it."""

from shared.domain.job import Job
from shared.domain.priority import Priority
from worker.llm.key_limits import KeyLimits
from worker.llm.key_use import KeyUse
from worker.llm.provider_circuits import ProviderCircuits
from worker.ports import Completion, LLMClient, LLMError, Tell
from worker.slots import Slots


class GatedClient:
    """`LLMClient` that asks both before a call; inside the retries, and outside of what counts calls."""

    def __init__(self, inner: LLMClient, circuits: ProviderCircuits, keys: KeyLimits, slots: Slots) -> None:
        self._inner = inner
        self._circuits = circuits
        self._keys = keys
        self._slots = slots

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        use = self._keys.use_of(job)
        if not use.take():
            await self._wait_for_place(use, job.priority)
        decreases = use.decreases
        try:
            completion = await self._through_circuits(job, attempt, tell)
        except LLMError as fault:
            use.fail(decreases, fault)
            raise
        except BaseException:
            use.give_back()
            raise
        use.succeed(decreases)
        return completion

    async def _wait_for_place(self, use: KeyUse, priority: Priority) -> None:
        is_in = False
        try:
            async with self._slots.lent(priority):
                await use.wait_for_place()
                is_in = True
        except BaseException:
            if is_in:
                use.give_back()
            raise

    async def _through_circuits(self, job: Job, attempt: int, tell: Tell | None) -> Completion:
        way = self._circuits.enter(job)
        try:
            completion = await self._inner.complete(job, attempt, tell)
        except LLMError as fault:
            way.fail(fault)
            raise
        except BaseException:
            way.give_back()
            raise
        way.succeed()
        return completion
