"""The service's users: they post at a rate that does not care how the service feels, and read results."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.chaos.direct_producer import DirectProducer, body_to_offer
from tests.chaos.offered_job import ENDED, Answer, OfferedJob, body_of, status_of
from tests.chaos.totals import totals_of

_READERS = 32
_ROUND_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.2
_RETRY_SECONDS = 0.5
_GIVE_UP_SECONDS = 60.0
_LOOK_SECONDS = 0.02


class Callers:
    """HTTP, spread over the gateways in turn, and records past them."""

    def __init__(
        self,
        gateway_urls: Sequence[str],
        *,
        retry_refusals: bool = False,
        producer: DirectProducer | None = None,
    ) -> None:
        self._urls = [*gateway_urls]
        self._turn = count()
        self._retry_refusals = retry_refusals
        self._producer = producer
        self._asking: dict[str, dict[str, OfferedJob]] = defaultdict(dict)
        self._unread = 0
        # Shorter than the gateway's own, so that a kept connection never ends under a POST.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120))

    def turn_to(self, url: str) -> None:
        """A gateway more."""
        self._urls.append(url)

    def turn_from(self, url: str) -> None:
        """A gateway that will not come back."""
        self._urls.remove(url)

    def asking(self, url: str) -> list[OfferedJob]:
        """The jobs that a gateway has been asked for and has not answered."""
        return [*self._asking[url].values()]

    async def offer(self, job: OfferedJob) -> None:
        """Post it, or both twins at once."""
        job.offered_at = time.time()
        self._unread += 1
        await asyncio.gather(*(self._offer(job) for _ in range(2 if job.is_twin else 1)))
        if job.accepted_at is None:
            self._unread -= 1

    async def post(self, job: OfferedJob) -> Answer | None:
        """Once, and nothing noted."""
        return await self._post(job, next(self._gateways_in_turn()))

    async def offer_all(
        self, jobs: Sequence[OfferedJob], a_second: float, most_unread: int | None = None
    ) -> None:
        """Open loop: the n-th job is due n / a_second after the first, whatever became of the others.

        Only where a service shall have as much as it takes, `most_unread` results hold the offers back.
        """
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        async with asyncio.TaskGroup() as group:
            for number, job in enumerate(jobs):
                await asyncio.sleep(max(0.0, started_at + number / a_second - loop.time()))
                while most_unread is not None and self._unread >= most_unread:
                    await asyncio.sleep(_LOOK_SECONDS)
                group.create_task(self.offer(job))

    async def read(self, job: OfferedJob) -> Answer | None:
        """From whichever gateway answers."""
        for url in islice(self._gateways_in_turn(), len(self._urls)):
            answer = await self._ask(url, "GET", f"/result/{job.request_id}")
            if answer is not None:
                return answer
        return None

    async def totals(self) -> dict[str, int]:
        """What `/stats` says of tokens and successes, from whichever gateway answers."""
        for url in islice(self._gateways_in_turn(), len(self._urls)):
            answer = await self._ask(url, "GET", "/stats")
            if answer is not None:
                return totals_of(body_of(answer)["total"])
        return {}

    async def read_many(self, jobs: Iterable[OfferedJob]) -> list[tuple[OfferedJob, Answer | None]]:
        """In the order in which they were answered."""
        found: list[tuple[OfferedJob, Answer | None]] = []

        async def read(job: OfferedJob) -> None:
            found.append((job, await self.read(job)))

        await _share(jobs, read)
        return found

    async def read_again(self, jobs: Iterable[OfferedJob]) -> None:
        """All that have ended, without keeping what is equal."""

        async def read(job: OfferedJob) -> None:
            job.read_again(await self.read(job))

        await _share(jobs, read)

    async def read_until_ended(
        self, jobs: Sequence[OfferedJob], offering: asyncio.Task[None], patience_seconds: float
    ) -> None:
        """Until every accepted job has ended, or nothing more has ended for as long as patience lasts."""
        moved_at = time.time()
        while True:
            round_at = time.time()
            if await self._read_due(_running(jobs)) or not offering.done():
                moved_at = time.time()
            if offering.done() and not _running(jobs):
                return
            if time.time() - moved_at > patience_seconds:
                return
            await asyncio.sleep(max(_SHORTEST_PAUSE_SECONDS, round_at + _ROUND_SECONDS - time.time()))

    async def _offer(self, job: OfferedJob) -> None:
        """Where refusals are expected, come back with the same id, as a client is told to."""
        for url in self._gateways_in_turn():
            job.last_offered_at = time.time()
            answer = await (self._send(job) if job.is_direct else self._post(job, url))
            if answer is not None and (answer.status in (200, 202) or status_of(answer) in ENDED):
                job.accept(answer)
                return
            job.refusals.append(f"{answer.status} {answer.body[:200]!r}" if answer else "no connection")
            if not self._retry_refusals or time.time() - job.offered_at > _GIVE_UP_SECONDS:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _post(self, job: OfferedJob, url: str) -> Answer | None:
        self._asking[url][job.request_id] = job
        try:
            path = "/invoke" if job.is_waiting else "/submit"
            return await self._ask(url, "POST", path, json=body_to_offer(job))
        finally:
            self._asking[url].pop(job.request_id, None)

    async def _send(self, job: OfferedJob) -> Answer | None:
        assert self._producer, "no producer for a direct job"
        return await self._producer.send(job)

    async def _read_due(self, jobs: Iterable[OfferedJob]) -> bool:
        """Whether any of them has ended."""
        at = time.time()
        due = [job for job in jobs if job.look_at < at]

        async def read(job: OfferedJob) -> None:
            job.read(await self.read(job), time.time())
            self._unread -= job.first_read is not None

        await _share(due, read)
        return any(job.first_read for job in due)

    def _gateways_in_turn(self) -> Iterator[str]:
        """For ever; each caller begins with another one."""
        for number in count(next(self._turn)):
            yield self._urls[number % len(self._urls)]

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


async def _share(jobs: Iterable[OfferedJob], read: Callable[[OfferedJob], Awaitable[None]]) -> None:
    """A few readers share the work: a task a job would be too many."""
    left = iter(jobs)

    async def read_some() -> None:
        for job in left:
            await read(job)

    await asyncio.gather(*(read_some() for _ in range(_READERS)))


def _running(jobs: Iterable[OfferedJob]) -> list[OfferedJob]:
    return [job for job in jobs if job.accepted_at is not None and job.first_read is None]
