"""The load in Python, where the C one cannot be compiled: the same options, the same output."""

import argparse
import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

import orjson
import uvloop

from tests.bench.http_connection import HttpConnection, Reply, post

_HOST = "127.0.0.1"
_REFUSALS = (429, 503)


class _Question:
    """One of the load's questions; it may be asked more than once."""

    def __init__(self, number: int, words: argparse.Namespace) -> None:
        self.tries = 1
        self.question = (number - 1) % words.q + 1 if words.q else number
        self.request = (number - 1) % words.i + 1 if words.i else number

    def fill(self, template: bytes) -> bytes:
        return template.replace(b"{{N}}", b"%012d" % self.question).replace(b"{{M}}", b"%012d" % self.request)


class _Tally:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.latencies_ms: list[float] = []
        self.retry_after: list[float] = []
        self.first_problem = ""

    def complain(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.first_problem = self.first_problem or text


class PythonLoad:
    def __init__(self, words: argparse.Namespace) -> None:
        self._words = words
        self._body = words.b.read_bytes()
        self._expected = words.e.encode()
        self._headers = tuple(words.H)
        self._tally = _Tally()
        self._numbers = count(1)
        self._asked = 0
        self._again: list[tuple[float, int, _Question]] = []
        self._measuring_at = self._ends_at = self._next_due_at = 0.0

    async def run(self) -> dict[str, object]:
        begun_at = time.perf_counter()
        self._measuring_at = begun_at + self._words.w
        self._ends_at = self._measuring_at + self._words.d
        self._next_due_at = begun_at
        callers = [asyncio.create_task(self._call()) for _ in range(self._words.c)]
        timing = asyncio.create_task(self._tell_phases())
        latest = self._ends_at + self._words.t - time.perf_counter()
        _, late = await asyncio.wait(callers, timeout=latest)
        for caller in late:
            caller.cancel()
            self._tally.complain("failed", "0 no answer in time")
        while self._words.r and self._has_more(self._ends_at):
            self._next_due_at += random.expovariate(self._words.r)
            self._tally.complain("failed", "0 not asked in time: no connection was free")
        if self._words.n:
            timing.cancel()
        await asyncio.gather(timing, return_exceptions=True)
        return self._result()

    async def _tell_phases(self) -> None:
        for word, at in {"measuring": self._measuring_at, "measured": self._ends_at}.items():
            with suppress(asyncio.CancelledError):  # all is asked before its time
                await asyncio.sleep(at - time.perf_counter())
            print(word, flush=True)

    async def _call(self) -> None:
        connection: HttpConnection | None = None
        while (due := self._next()) is not None:
            due_at, question = due
            await asyncio.sleep(due_at - time.perf_counter())
            since = due_at if self._words.r else time.perf_counter()
            request = post(self._words.u, question.fill(self._body), self._headers)
            try:
                if connection is None or not connection.is_open:
                    connection = await HttpConnection.open(_HOST, self._words.p)
                reply = await connection.ask(request)
            except OSError as fault:
                self._tally.complain("failed", f"0 {fault}")
                connection = None
                continue
            self._judge(question, since, reply)
        if connection is not None:
            connection.close()

    def _next(self) -> tuple[float, _Question] | None:
        """What is due next, and when; None when there is nothing more to ask."""
        now = time.perf_counter()
        if self._again and self._again[0][0] <= now:
            due_at, _, question = heappop(self._again)
            return due_at, question
        due_at = self._next_due_at if self._words.r else now
        if self._has_more(now):
            if self._words.r:
                self._next_due_at += random.expovariate(self._words.r)
            self._asked += 1
            return due_at, _Question(self._asked, self._words)
        if self._again:
            due_at, _, question = heappop(self._again)
            return due_at, question
        return None

    def _has_more(self, now: float) -> bool:
        """Who was due in time is asked, however late."""
        if self._words.n and self._asked >= self._words.n:
            return False
        return (self._next_due_at if self._words.r else now) < self._ends_at

    def _judge(self, question: _Question, since: float, reply: Reply) -> None:
        now, tally = time.perf_counter(), self._tally
        tally.counts["all_answers"] += 1
        if self._words.s and tally.counts["all_answers"] % self._words.s == 0:
            print(f"answered {tally.counts['all_answers']}", flush=True)
        is_measured = self._measuring_at <= (since if self._words.r else now) < self._ends_at
        tally.statuses[reply.status] += is_measured
        if reply.status in _REFUSALS:
            self._refused(question, reply, is_measured=is_measured)
        elif reply.status != 200 or question.fill(self._expected) not in reply.body:
            kind = "wrong" if reply.status == 200 else "failed"
            tally.complain(kind, f"{reply.status} {reply.body[:300].decode(errors='replace')}")
        else:
            tally.counts["obeyed"] += question.tries > 1
            tally.counts["obeyed_at_once"] += question.tries == 2
            if is_measured:
                tally.latencies_ms.append((now - since) * 1000)

    def _refused(self, question: _Question, reply: Reply, *, is_measured: bool) -> None:
        told, tally = reply.header(b"retry-after"), self._tally
        tally.counts["refused"] += is_measured
        if told is None:
            tally.complain("untold_refusals", f"{reply.status} without Retry-After")
        after = float(told or 0)
        tally.retry_after.append(after)
        if question.tries <= self._words.o:
            question.tries += 1
            tally.counts["repeats"] += 1
            heappush(self._again, (time.perf_counter() + after, next(self._numbers), question))
        elif self._words.o:
            tally.counts["gave_up"] += 1

    def _result(self) -> dict[str, object]:
        tally, ms = self._tally, sorted(self._tally.latencies_ms)
        ended_at = min(time.perf_counter(), self._ends_at)
        told = tally.retry_after or [0.0]
        counted = ("all_answers", "failed", "wrong", "refused", "untold_refusals", "repeats", "obeyed")
        return {
            **{name: tally.counts[name] for name in (*counted, "obeyed_at_once", "gave_up")},
            "seconds": ended_at - self._measuring_at,
            "answers": len(ms),
            "p50_ms": _percentile(ms, 50),
            "p90_ms": _percentile(ms, 90),
            "p99_ms": _percentile(ms, 99),
            "most_ms": ms[-1] if ms else 0.0,
            "unasked": len(self._again),
            "asked": self._asked,
            "retry_after_seconds": [min(told), statistics.mean(told), max(told)],
            "statuses": {f"{status}": times for status, times in tally.statuses.items() if times},
            "first_problem": tally.first_problem,
        }


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


def _options() -> Iterator[tuple[str, dict[str, object]]]:
    yield "-b", {"type": Path, "required": True}
    yield "-H", {"action": "append", "default": []}
    for name, default in {"-u": "/invoke", "-e": ""}.items():
        yield name, {"default": default}
    for name, whole in {"-p": 0, "-c": 1, "-q": 0, "-i": 0, "-o": 0, "-n": 0, "-s": 0}.items():
        yield name, {"type": int, "default": whole}
    for name, number in {"-w": 1.0, "-d": 5.0, "-r": 0.0, "-t": 30.0}.items():
        yield name, {"type": float, "default": number}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, options in _options():
        parser.add_argument(name, **options)  # type: ignore[arg-type]
    print(orjson.dumps(uvloop.run(PythonLoad(parser.parse_args()).run())).decode())


if __name__ == "__main__":
    main()
