"""What gateway and worker both tell Prometheus of themselves."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import Gauge

BUILD = Gauge("llm_build_info", "1; which version runs here, and as what", ("component", "version"))
DEPENDENCY_UP = Gauge("llm_dependency_up", "1 while it can be used", ("dependency",))

_LOOK_SECONDS = 5.0

IsUp = Callable[[], Awaitable[bool]]


async def watch_dependencies(questions: Mapping[str, IsUp]) -> None:
    """Ask for ever; no question raises."""
    while True:
        answers = await asyncio.gather(*(is_up() for is_up in questions.values()))
        for name, is_up in zip(questions, answers, strict=True):
            DEPENDENCY_UP.labels(name).set(is_up)
        await asyncio.sleep(_LOOK_SECONDS)
