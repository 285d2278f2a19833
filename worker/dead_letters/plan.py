"""What a redrive would do, counted before anything is sent."""

from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterator
from dataclasses import dataclass, field

from worker.dead_letters.letter import DeadLetter, Position
from worker.dead_letters.redrive import LeftOut, Rules, may_be_charged


@dataclass(slots=True)
class Plan:
    """Positions to send, and counts."""

    positions: list[Position] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[LeftOut, str]] = field(default_factory=Counter)
    missing: set[Position] = field(default_factory=set)
    charged_again: int = 0
    dying_again: int = 0

    @property
    def jobs(self) -> int:
        return self.reasons.total()

    @property
    def is_whole(self) -> bool:
        """Nothing that was meant stays behind; what was redriven before does not count."""
        return not self.missing and all(why is LeftOut.REDRIVEN for why, _ in self.left_out)

    def add(self, letter: DeadLetter, rules: Rules, max_jobs: int) -> None:
        if self.jobs < max_jobs:  # beyond it nothing is sent, and only the count is told
            self.positions.append(letter.position)
        self.reasons[letter.reason] += 1
        self.charged_again += may_be_charged(letter)
        self.dying_again += rules.dies_again(letter)

    def lines(self) -> Iterator[str]:
        yield f"to redrive: {self.jobs}{_by_reason(self.reasons)}"
        if self.charged_again:
            yield f"  of which may be charged again: {self.charged_again}"
        if self.dying_again:
            yield f"  of which a worker with these settings would dead-letter again: {self.dying_again}"
        for why in LeftOut:
            reasons = Counter({reason: n for (left, reason), n in self.left_out.items() if left is why})
            if reasons:
                yield f"left out: {reasons.total()}{_by_reason(reasons)}: {why}"
        for position in sorted(self.missing):
            yield f"no dead letter at {position}"


async def make_plan(
    letters: AsyncIterable[DeadLetter],
    rules: Rules,
    *,
    wanted: frozenset[Position],
    limit: int | None,
    max_jobs: int,
    show: Callable[[DeadLetter], None],
) -> Plan:
    """Judge every letter; `show` sees those that would be sent."""
    plan = Plan(missing=set(wanted))
    async for letter in letters:
        plan.missing.discard(letter.position)
        why = rules.left_out(letter)
        if why is not None:
            plan.left_out[why, letter.reason] += 1
            continue
        plan.add(letter, rules, max_jobs)
        show(letter)
        if plan.jobs == limit:
            plan.missing.clear()
            break
    return plan


def _by_reason(reasons: Counter[str]) -> str:
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f" ({told})" if told else ""
