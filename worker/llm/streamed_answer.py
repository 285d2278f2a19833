"""A provider's server-sent chunks, put together to the answer that it would have sent whole."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from shared.domain.errors import ErrorCode
from worker.llm.chat_completion import unreadable
from worker.llm.provider_errors import error_inside
from worker.ports import OutcomeUnknown

Chunk = dict[str, Any]

_DONE = b"[DONE]"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MOST_CHOICES = 128
_MOST_LINE_BYTES = 2_097_152
_NAMES = frozenset({"id", "type", "name", "role"})


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Choice(_Strict):
    index: Annotated[int, Field(ge=0, lt=_MOST_CHOICES)] = 0
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None


class _Chunk(_Strict):
    """The part of the shape that this service relies on."""

    choices: list[_Choice] = []


class StreamedAnswer:
    """Takes the bytes of a body as they come; `tell` hears every chunk as soon as it is whole."""

    def __init__(self, tell: Callable[[Chunk], None]) -> None:
        self._tell = tell
        self._line = bytearray()
        self._answer: Chunk = {}
        self._choices: dict[int, Chunk] = {}
        self._envelope_bytes = 0
        self.is_done = False
        self.size_bytes = 0
        """Of what it comes to so far, about: the chunks without what all of them repeat."""

    def feed(self, data: bytes) -> None:
        """More bytes; an `LLMError` if they are no chunks, or tell one."""
        self._line += data
        if len(self._line) > _MOST_LINE_BYTES:
            raise unreadable()
        if b"\n" not in data and b"\r" not in data:
            return
        *lines, rest = _LINE_END.split(bytes(self._line))
        self._line = bytearray(rest)
        for line in lines:
            if line.startswith(b"data:") and not self.is_done:
                self._take(line[5:].strip())

    def whole(self) -> Chunk:
        """The answer; `OutcomeUnknown` if it ended too early."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        is_finished = self.is_done or all(choice["finish_reason"] is not None for choice in choices)
        if not choices or not is_finished:
            raise OutcomeUnknown(ErrorCode.UPSTREAM_INVALID_RESPONSE, "The provider's stream ended too early")
        return {**self._answer, "object": "chat.completion", "choices": choices}

    def _take(self, data: bytes) -> None:
        if data == _DONE:
            self.is_done = True
            return
        try:
            chunk: Any = orjson.loads(data)
            if isinstance(chunk, dict) and chunk.get("error"):
                raise error_inside(chunk["error"])
            checked = _Chunk.model_validate(chunk)
            self._answer.update({k: v for k, v in chunk.items() if k != "choices" and v is not None})
            for choice, raw in zip(checked.choices, chunk.get("choices") or (), strict=True):
                self._grow(choice, raw)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise unreadable() from None
        self._envelope_bytes = self._envelope_bytes or len(data)
        self.size_bytes += max(0, len(data) - self._envelope_bytes)
        chunk.setdefault("choices", [])
        self._tell(chunk)

    def _grow(self, choice: _Choice, raw: Chunk) -> None:
        begun = {
            "index": choice.index,
            "message": {"role": "assistant", "content": None},
            "finish_reason": None,
        }
        whole = self._choices.setdefault(choice.index, begun)
        _grow_message(whole["message"], choice.delta or {})
        for name, value in raw.items():
            if name == "logprobs":
                whole[name] = _longer_logprobs(whole.get(name), value)
            elif name not in ("index", "delta") and (value is not None or name not in whole):
                whole[name] = value


def _grow_message(message: Chunk, delta: Chunk) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            _grow_tool_calls(message.setdefault(name, []), value or [])
        else:
            _grow_member(message, name, value)


def _grow_tool_calls(calls: list[Chunk], parts: list[Chunk]) -> None:
    """Each part says which call it belongs to; the first of a call holds its id and name."""
    for part in parts:
        index = part.get("index", len(calls))
        if not 0 <= index <= len(calls) or index >= _MOST_CHOICES:
            raise ValueError("a part of a tool call that never began")
        if index == len(calls):
            calls.append({})
        for name, value in part.items():
            if name != "index":
                _grow_member(calls[index], name, value)


def _grow_member(whole: Chunk, name: str, more: Any) -> None:
    """Text goes on, lists get longer, and what names something is said once."""
    known = whole.get(name)
    if isinstance(known, dict) and isinstance(more, dict):
        for inner, value in more.items():
            _grow_member(known, inner, value)
    elif isinstance(known, str) and isinstance(more, str):
        whole[name] = known if name in _NAMES else known + more
    elif isinstance(known, list) and isinstance(more, list):
        whole[name] = [*known, *more]
    elif more is not None or name not in whole:
        whole[name] = dict(more) if isinstance(more, dict) else more


def _longer_logprobs(known: Chunk | None, more: Chunk | None) -> Chunk | None:
    if known is None or more is None:
        return known or more
    return {name: [*(known.get(name) or ()), *(more.get(name) or ())] or None for name in {**known, **more}}
