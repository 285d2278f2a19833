"""Which letters an operator means."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.errors import ErrorCode
from worker.dead_letters.letter import DeadLetter, Position

_POSITION = re.compile(r"(\d{1,9})/(\d{1,18})")
_AGE = re.compile(r"(\d{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Letters by reason and time, or one by one."""

    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    positions: frozenset[Position] = frozenset()

    def has(self, letter: DeadLetter) -> bool:
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.died_at >= self.since)
            and (self.until is None or letter.died_at < self.until)
            and (not self.positions or letter.position in self.positions)
        )

    def offsets(self, partition: int, first: int, end: int) -> range:
        """The part of a partition that has to be read for it."""
        if not self.positions:
            return range(first, end)
        wanted = [position.offset for position in self.positions if position.partition == partition]
        return range(max(first, min(wanted)), min(end, max(wanted) + 1)) if wanted else range(0)


def parse_reasons(text: str) -> frozenset[str]:
    """`INVALID_JSON,TOO_MANY_RUNS`."""
    reasons = frozenset(reason.strip().upper() for reason in text.split(",") if reason.strip())
    unknown = reasons - {code.value for code in ErrorCode}
    if unknown or not reasons:
        raise ValueError(f"{text!r} is no reason; allowed: {', '.join(sorted(ErrorCode))}")
    return reasons


def parse_instant(text: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> datetime:
    """RFC 3339, or how long ago: `90s`, `15m`, `2h`, `3d`."""
    age = _AGE.fullmatch(text)
    try:
        if age:
            return clock() - timedelta(**{_UNITS[age[2]]: int(age[1])})
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time; allowed: RFC 3339 (2026-11-23T12:00:00Z) or an age (90s, 15m, 2h, 3d)"
        ) from None


def parse_position(text: str) -> Position:
    """`PARTITION/OFFSET` as `list` prints it."""
    found = _POSITION.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no position; allowed: PARTITION/OFFSET, as list prints it (3/1042)")
    return Position(int(found[1]), int(found[2]))
