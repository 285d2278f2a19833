"""A load of fixed concurrency: each connection asks, waits for the answer, and asks again."""

import asyncio
import time
from collections.abc import Callable

from tests.bench.cores import CpuMeter, CpuUse
from tests.bench.http_connection import HttpConnection, post
from tests.bench.questions import Question, Tally
from tests.bench.servers import HOST


class ClosedLoop:
    """`connections` callers of `POST /invoke`."""

    def __init__(self, port: int, connections: int, next_question: Callable[[], Question]) -> None:
        self._port = port
        self._connections = connections
        self._next_question = next_question
        self._tally = Tally()
        self._ends_at = 0.0

    async def run(self, warm_up_seconds: float, seconds: float, meter: CpuMeter) -> tuple[Tally, CpuUse]:
        """What came back after the warm-up; answers that were on their way at the end count as load only."""
        self._ends_at = time.perf_counter() + warm_up_seconds + seconds
        callers = [asyncio.create_task(self._call()) for _ in range(self._connections)]
        await asyncio.sleep(warm_up_seconds)
        warm_up, self._tally = self._tally, Tally()
        meter.restart()
        await asyncio.sleep(self._ends_at - time.perf_counter())
        use = meter.use()
        tally, self._tally = self._tally, Tally()
        await asyncio.gather(*callers)
        for part in (warm_up, self._tally):
            tally.failed += part.failed
            tally.wrong += part.wrong
            tally.problem(part.first_problem)
        return tally, use

    async def _call(self) -> None:
        connection = await HttpConnection.open(HOST, self._port)
        try:
            while (started_at := time.perf_counter()) < self._ends_at:
                question = self._next_question()
                status, body = await connection.ask(post("/invoke", question.body))
                self._tally.add(question, status, body, (time.perf_counter() - started_at) * 1000)
        except ConnectionError as fault:  # the other callers go on
            self._tally.failed += 1
            self._tally.problem(str(fault))
        finally:
            connection.close()
