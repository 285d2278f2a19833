"""What a campaign leaves behind: the same jobs as five sources tell of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.chaos.agreement import books
from tests.chaos.agreement.books import Book, Fact
from tests.chaos.agreement.facts import Facts
from tests.chaos.agreement.questions import Question
from tests.support.provider_ledger import Call


@dataclass(frozen=True)
class Kill:
    """A worker that died, and what Prometheus could have read of it just before."""

    key_ending: str
    at: float
    scraped_from: float
    """When that reading began."""
    scraped: Book


@dataclass(frozen=True)
class Evidence:
    questions: Sequence[Question]
    answers: Mapping[str, Mapping[str, Any]]
    """The last one of every job."""
    calls: Sequence[Call]
    facts: Facts
    """On `llm-metrics`."""
    stats: Mapping[str, Any]
    """All of `/stats`."""
    workers: Mapping[str, Book]
    """Prometheus of every worker that lived to the end, by the ending of its provider key."""
    gateways: Book
    """Prometheus of all gateways, of those that ended in their last moment."""
    kills: Sequence[Kill] = ()
    rolled: int = 0
    """Gateways that were stopped and replaced under load."""
    seconds: float = 0.0
    complaints: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def once(self) -> list[Fact]:
        return self.facts.once

    @cached_property
    def books(self) -> dict[str, Book]:
        """Every source's, under its name."""
        return {
            "ledger": books.of_ledger(self.calls),
            "call facts": books.of_call_facts(self.once),
            "job facts": books.of_job_facts(self.once) + self.gateways_part,
            "/stats": books.of_stats(self.stats["total"]),
            "answers": books.of_answers(self.answers.values()),
            "Prometheus": sum(self.workers.values(), Book()) + self.gateways,
        }

    @property
    def gateways_part(self) -> Book:
        """What gateways do themselves, and no fact tells: answers from the cache, refusals, replays."""
        return Book({name: count for name, count in self.gateways.items() if name.startswith(books.ENDS)})

    @cached_property
    def prompts(self) -> dict[str, str]:
        """Of each request id: all that the provider knows of a job."""
        return {question.request_id: question.prompt for question in self.questions}
