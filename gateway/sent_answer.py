"""What a caller has of a streamed answer, and what it still lacks."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_SILENT = frozenset({"role", "content"})


class Diverged(Exception):
    """The answer goes another way than what the caller has of it."""


@dataclass(slots=True)
class _Choice:
    text: str = ""
    again: str | None = None
    """Of a new attempt, until it has come as far as the first."""
    has_more: bool = False
    """Beside text: parts of tool calls, a refusal."""
    is_begun: bool = False
    is_finished: bool = False


@dataclass(slots=True)
class SentAnswer:
    """Of one caller, by choice."""

    _choices: dict[int, _Choice] = field(default_factory=dict)

    def begin_again(self) -> None:
        """A new attempt writes the answer anew; the caller keeps what it has."""
        for choice in self._choices.values():
            choice.again, choice.is_finished = "", False

    def take(self, chunk: Json) -> Json | None:
        """What is new to the caller in a provider's chunk; None: nothing. `Diverged` if it contradicts."""
        choices = [taken for choice in chunk["choices"] if (taken := self._take(choice)) is not None]
        return {**chunk, "choices": choices} if choices or not chunk["choices"] else None

    def rest(self, completion: Json) -> list[Json]:
        """The choices of chunks that make it the whole `completion`."""
        return [
            rest for number, choice in enumerate(completion["choices"]) for rest in self._rest(number, choice)
        ]

    def _take(self, told: Json) -> Json | None:
        choice = self._choices.setdefault(told.get("index") or 0, _Choice())
        delta = told.get("delta") or {}
        text, has_more = delta.get("content") or "", any(delta[name] for name in delta.keys() - _SILENT)
        if choice.again is None:
            choice.text += text
            choice.has_more |= has_more
            choice.is_begun = True
            choice.is_finished |= told.get("finish_reason") is not None
            return told
        choice.again += text
        if has_more or choice.has_more:
            raise Diverged
        if choice.again.startswith(choice.text):
            return self._caught_up(choice, told, delta)
        if not choice.text.startswith(choice.again) or told.get("finish_reason") is not None:
            raise Diverged
        return None

    def _caught_up(self, choice: _Choice, told: Json, delta: Json) -> Json:
        new = (choice.again or "")[len(choice.text) :]
        choice.text, choice.again = choice.text + new, None
        choice.is_finished |= told.get("finish_reason") is not None
        kept = {name: value for name, value in delta.items() if name != "role"}
        return {**told, "delta": {**kept, "content": new}}

    def _rest(self, number: int, told: Json) -> list[Json]:
        choice = self._choices.get(number) or _Choice()
        message = told["message"]
        if choice.is_finished:
            return []
        text = message.get("content") or ""
        if not choice.is_begun:
            delta = {**message, **_numbered(message.get("tool_calls"))}
        elif choice.has_more or not isinstance(text, str) or not text.startswith(choice.text):
            raise Diverged
        else:
            missing = text[len(choice.text) :]
            delta = {**({"content": missing} if missing else {}), **_numbered(message.get("tool_calls"))}
        envelope = {name: value for name, value in told.items() if name not in ("message", "finish_reason")}
        envelope = {"index": number, **envelope}
        head = [{**envelope, "delta": delta, "finish_reason": None}] if delta else []
        return [*head, {"index": number, "delta": {}, "finish_reason": told.get("finish_reason") or "stop"}]


def _numbered(calls: list[Json] | None) -> Json:
    return {"tool_calls": [{"index": number, **call} for number, call in enumerate(calls)]} if calls else {}
