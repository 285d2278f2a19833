"""Hypothesis as a source of cases: many, the same ones for the same seed, and nothing written to disk."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.strategies import SearchStrategy

from tests.support.kafka_distribution import cache_folder

# It keeps tables of characters there, whatever its settings say; the default is the current folder.
set_hypothesis_home_dir(cache_folder() / "hypothesis")

Case = TypeVar("Case")

_CHUNK = 500  # Hypothesis remembers what it drew: many short runs cost less than one long run


def cases(strategy: SearchStrategy[Case], count: int, first_seed: int) -> Iterator[Case]:
    """`count` cases; the same ones for the same seed."""
    for start in range(0, count, _CHUNK):
        yield from _chunk(strategy, min(_CHUNK, count - start), first_seed + start)


def _chunk(strategy: SearchStrategy[Case], count: int, chunk_seed: int) -> list[Case]:
    drawn: list[Case] = []
    for number in range(count):  # a small space of cases ends early, and is then drawn again
        if len(drawn) < count:
            _draw(strategy, count - len(drawn), chunk_seed * 1009 + number, drawn.append)
    return drawn[:count]


def _draw(strategy: SearchStrategy[Case], count: int, run_seed: int, take: Callable[[Case], object]) -> None:
    @seed(run_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Case) -> None:
        take(case)

    collect()
