"""One record of the dead letter topic, for people to read."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared.domain.timestamps import rfc3339
from worker.dead_letters import headers as names
from worker.dead_letters.clear_keys import holds_key
from worker.dead_letters.headers import mask_keys
from worker.ports import Record

_MOST_CHARACTERS = 500
NO_REASON = "-"


class Position(NamedTuple):
    """Where a letter stands on the dead letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


class Redriven(NamedTuple):
    """When a letter was redriven, and under which id if that was a new one."""

    at: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, its reason, and its redrive if there was one."""

    record: Record
    redriven: Redriven | None = None

    @property
    def position(self) -> Position:
        return Position(self.record.partition, self.record.offset)

    @property
    def reason(self) -> str:
        return self.told(names.REASON) or NO_REASON

    @property
    def origin(self) -> str:
        return self.told(names.TOPIC) or ""

    @property
    def is_left_out(self) -> bool:
        return self.told(names.LEFT_OUT) is not None

    @property
    def died_at(self) -> datetime:
        """As the header tells; letters of older workers have only the record's own time."""
        try:
            return datetime.fromisoformat(self.told(names.TIME) or "").astimezone(UTC)
        except (ValueError, OverflowError):
            return datetime.fromtimestamp(max(self.record.timestamp, 0) / 1000, UTC)

    @property
    def held_key(self) -> bool:
        """It held a key in the clear; letters of older workers still do."""
        return self.told(names.HELD_KEY) is not None or holds_key(self.record.value)

    def told(self, name: str) -> str | None:
        value = dict(self.record.headers).get(name)
        return None if value is None else printable(value)

    def summary(self) -> dict[str, Any]:
        """Everything but content and original headers."""
        key = self.record.key
        return {
            "position": str(self.position),
            "time": rfc3339(self.died_at),
            "reason": self.reason,
            "message": self.told(names.MESSAGE) or "",
            "key": None if key is None else printable(key),
            "origin": f"{self.origin} {self.told(names.PARTITION)}/{self.told(names.OFFSET)}",
            "redrives": names.redrives_of(dict(self.record.headers)),
            "redriven_at": self.redriven.at if self.redriven else None,
            "redriven_as": self.redriven.request_id if self.redriven else None,
        }

    def line(self) -> str:
        told = self.summary()
        ending = f"  (redriven {told['redriven_at']})" if self.redriven else ""
        key, message = told["key"] or "-", told["message"]
        return f"{told['position']:<8} {told['time']}  {told['reason']:<20} {key}  {message}{ending}"

    def everything(self, *, with_value: bool) -> dict[str, Any]:
        """The letter with its headers; its value only if it is asked for, because it may hold a prompt."""
        value = self.record.value
        told = self.summary() | {
            "headers": [
                [printable_text(name), None if text is None else printable(text)]
                for name, text in self.record.headers
            ],
            "value_bytes": None if value is None else len(value),
        }
        if with_value:
            shown = None if value is None else mask_keys(value.decode(errors="backslashreplace"))
            told["value"] = shown
        return told


def printable(value: bytes) -> str:
    """Short, without keys, and without what a terminal would obey: anybody may have written it."""
    return printable_text(value[: 4 * _MOST_CHARACTERS].decode(errors="backslashreplace"))


def printable_text(text: str) -> str:
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
    return mask_keys(shown)[:_MOST_CHARACTERS]
