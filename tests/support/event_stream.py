"""Server-sent events as a client reads them."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Event:
    """One event; comments, which only keep the connection alive, are none."""

    name: str
    data: Any
    id: int | None = None


class EventReader:
    """Takes lines, gives events."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        data = fields["data"] if fields["data"] == "[DONE]" else orjson.loads(fields["data"])
        return Event(fields.get("event", ""), data, int(fields["id"]) if "id" in fields else None)


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    reader = EventReader()
    for line in lines:
        if (event := reader.take(line)) is not None:
            yield event


async def async_events_of(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    reader = EventReader()
    async for line in lines:
        if (event := reader.take(line)) is not None:
            yield event


def text_of(events: Iterable[Event]) -> str:
    """What somebody has who joined the deltas and began again when told so."""
    text = ""
    for event in events:
        if event.name == "retrying" and event.data["reset"]:
            text = ""
        elif event.name == "delta":
            text += event.data["delta"].get("content") or ""
    return text
