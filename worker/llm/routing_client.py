"""Which server a model lives on."""

from collections.abc import Mapping

from shared.domain.job import Job
from worker.ports import Completion, LLMClient, Tell


class RoutingClient:
    """`LLMClient` that sends a few models elsewhere than the rest."""

    def __init__(self, clients: Mapping[str, LLMClient], default: LLMClient) -> None:
        self._clients = clients
        self._default = default

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        return await self._clients.get(job.model, self._default).complete(job, attempt, tell)
