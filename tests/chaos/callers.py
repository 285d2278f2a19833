"""The service's users: they post at a rate that does not care how the service feels, and read results."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, cycle, islice
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.chaos.offered_job import ENDED, Answer, OfferedJob, status_of

_READERS = 8
_ROUND_SECONDS = 2.0
_SETTLED_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_GIVE_UP_SECONDS = 60.0


class Callers:
    """HTTP, spread over the gateways in turn."""

    def __init__(self, gateway_urls: Sequence[str], *, retry_refusals: bool = False) -> None:
        self._urls = gateway_urls
        self._turn = count()
        self._retry_refusals = retry_refusals
        # Shorter than the gateway's own, so that a kept connection never ends under a POST.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120))

    async def offer(self, job: OfferedJob) -> None:
        """Post it; where refusals are expected, come back with the same id, as a client is told to."""
        job.offered_at = time.time()
        for url in self._gateways_in_turn():
            answer = await self._ask(url, "POST", _path(job), json=_body(job))
            if answer is not None and answer.status in (200, 202):
                job.posted = answer
                job.accepted_at = job.offered_at if job.is_waiting else answer.at
                return
            job.refusals.append(f"{answer.status} {answer.body[:200]!r}" if answer else "no connection")
            if not self._retry_refusals or time.time() - job.offered_at > _GIVE_UP_SECONDS:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def post(self, job: OfferedJob) -> Answer | None:
        """Once, and nothing noted."""
        return await self._ask(next(self._gateways_in_turn()), "POST", _path(job), json=_body(job))

    async def offer_all(self, jobs: Sequence[OfferedJob], a_second: float) -> None:
        """Open loop: the n-th job is due n / a_second after the first, whatever became of the others."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        async with asyncio.TaskGroup() as group:
            for number, job in enumerate(jobs):
                await asyncio.sleep(max(0.0, started_at + number / a_second - loop.time()))
                group.create_task(self.offer(job))

    async def read(self, job: OfferedJob) -> Answer | None:
        """From whichever gateway answers."""
        for url in islice(self._gateways_in_turn(), len(self._urls)):
            answer = await self._ask(url, "GET", f"/result/{job.request_id}")
            if answer is not None:
                return answer
        return None

    async def read_many(self, jobs: Iterable[OfferedJob]) -> list[tuple[OfferedJob, Answer | None]]:
        slots = asyncio.Semaphore(_READERS)

        async def read(job: OfferedJob) -> tuple[OfferedJob, Answer | None]:
            async with slots:
                return job, await self.read(job)

        return await asyncio.gather(*map(read, jobs))

    async def read_until_ended(
        self, jobs: Sequence[OfferedJob], offering: asyncio.Task[None], patience_seconds: float
    ) -> None:
        """Until every accepted job has ended, or nothing more has ended for as long as patience lasts."""
        moved_at = time.time()
        while True:
            round_at = time.time()
            due = [job for job in _running(jobs) if round_at - (job.accepted_at or 0) > _SETTLED_SECONDS]
            if await self._read_ended(due) or not offering.done():
                moved_at = time.time()
            if offering.done() and not _running(jobs):
                return
            if time.time() - moved_at > patience_seconds:
                return
            await asyncio.sleep(max(0.2, round_at + _ROUND_SECONDS - time.time()))

    async def _read_ended(self, jobs: Iterable[OfferedJob]) -> bool:
        ended = [(job, answer) for job, answer in await self.read_many(jobs) if status_of(answer) in ENDED]
        for job, answer in ended:
            job.first_read = answer
        return bool(ended)

    def _gateways_in_turn(self) -> Iterator[str]:
        """For ever; each caller begins with another one."""
        first = next(self._turn) % len(self._urls)
        return islice(cycle(self._urls), first, None)

    async def _ask(self, url: str, method: str, path: str, **more: Any) -> Answer | None:
        try:
            async with self._session.request(method, url + path, **more) as response:
                body = await response.read()
                return Answer(response.status, body, time.time())
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()


def _path(job: OfferedJob) -> str:
    return "/invoke" if job.is_waiting else "/submit"


def _body(job: OfferedJob) -> dict[str, str]:
    return {"request_id": job.request_id, "user_prompt": job.prompt}


def _running(jobs: Iterable[OfferedJob]) -> list[OfferedJob]:
    return [job for job in jobs if job.accepted_at is not None and job.first_read is None]
