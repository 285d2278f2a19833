"""The local model in the place of a provider that there is no key for."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from time import monotonic

import aiohttp

from shared.domain.job import Job
from worker.llm.local_model import LOCAL_MODEL
from worker.ports import Completion, LLMClient, Tell

_START_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


class KeylessClient:
    """`LLMClient` that asks the local model what comes without a key; the answer's `model` says who spoke."""

    def __init__(self, provider: LLMClient, local: LLMClient) -> None:
        self._provider = provider
        self._local = local

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        if job.api_key is not None:
            return await self._provider.complete(job, attempt, tell)
        return await self._local.complete(replace(job, model=LOCAL_MODEL), attempt, tell)


class LocalModelAwayError(ConnectionError):
    """There is no key, and nobody answers in its place."""

    def __init__(self, url: str) -> None:
        super().__init__(
            "there is no OPENAI_API_KEY, no OPENAI_BASE_URL, and no local model at WORKER_LOCAL_MODEL_URL="
            f"{url}: set one of the first two, or start it (docker compose --profile local-model up)"
        )


async def wait_for_local_model(url: str, timeout_seconds: float = _START_SECONDS) -> None:
    """It may be started at the same moment; `LocalModelAwayError` if it is not there in time."""
    end = monotonic() + timeout_seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while not await _answers(session, url):
            if monotonic() > end:
                raise LocalModelAwayError(url)
            await asyncio.sleep(_PAUSE_SECONDS)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/models") as response:
            return response.status < HTTPStatus.INTERNAL_SERVER_ERROR  # which it says while it loads
    except (TimeoutError, aiohttp.ClientError):
        return False
