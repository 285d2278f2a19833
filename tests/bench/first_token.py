"""How much later the first word of a stream comes through the service than from the provider itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import aiohttp

from tests.bench.throughput import percentile

Say = Callable[[str], None]

_WORDS = "[[token_ms=5]] a few words that come one after the other"


@dataclass(frozen=True)
class FirstToken:
    """Milliseconds from the request to the first word, one stream at a time, both ways in turn."""

    streams: int
    direct_ms_p50: float
    through_ms_p50: float
    through_ms_p99: float
    failed: int
    wrong: int
    first_problem: str

    @property
    def added_ms_p50(self) -> float:
        return self.through_ms_p50 - self.direct_ms_p50


async def measure_first_token(provider_url: str, service_url: str, streams: int, say: Say) -> FirstToken:
    """`service_url` and `provider_url` up to and with `/v1`."""
    times: dict[str, list[float]] = {provider_url: [], service_url: []}
    problems: list[str] = []
    async with aiohttp.ClientSession() as http:
        for number in range(streams + _warm_up(streams)):
            for url, ms in times.items():
                found = await _first_word_ms(http, url, problems)
                if number >= _warm_up(streams):
                    ms.append(found)
            if number % 100 == 0:
                say(f"{number} streams each way")
    return FirstToken(
        streams=streams,
        direct_ms_p50=percentile(times[provider_url], 50),
        through_ms_p50=percentile(times[service_url], 50),
        through_ms_p99=percentile(times[service_url], 99),
        failed=len(problems),
        wrong=0,
        first_problem=problems[0] if problems else "",
    )


def _warm_up(streams: int) -> int:
    return max(5, streams // 10)


async def _first_word_ms(http: aiohttp.ClientSession, url: str, problems: list[str]) -> float:
    """To the end of the stream, so that the next one is alone."""
    messages = [{"role": "user", "content": f"{uuid4()} {_WORDS}"}]
    body = {"model": "gpt-4o-mini", "messages": messages, "stream": True}
    first_ms = 0.0
    started_at = time.perf_counter()
    async with http.post(f"{url}/chat/completions", json=body) as response:
        async for line in response.content:
            if not first_ms and b'"content":"echo' in line:
                first_ms = (time.perf_counter() - started_at) * 1000
    if not first_ms:
        problems.append(f"{response.status} and no word from {url}")
    return first_ms
