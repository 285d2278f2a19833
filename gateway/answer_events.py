"""The events of an answer: `delta`, `retrying`, and at last `result` or `error`."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import orjson

from gateway.chat.answers import completion_body
from gateway.event_stream import event
from gateway.following import Ended, News, Told, as_events
from gateway.sent_answer import Diverged, SentAnswer
from gateway.service import Answered
from shared.domain.result import Failed, Succeeded
from shared.ports import Piece

_RESET = event({"reset": True}, "retrying")
_GOES_ON = b": this replica ends; the job goes on\nretry: 100\n\n"

Body = Callable[[Succeeded | Failed], dict[str, Any]]


class AnswerEvents:
    """The events of one caller."""

    def __init__(self, after: int, body: Body) -> None:
        self._after = after
        self._body = body
        self._sent = SentAnswer()
        self._position = 0

    def events(self, followed: AsyncGenerator[Told]) -> AsyncGenerator[bytes]:
        """All events after the position; what came before is only counted in."""
        return as_events(followed, self._written)

    def _written(self, told: News) -> bytes:
        match told:
            case Ended():
                return _GOES_ON
            case Answered(Succeeded() as succeeded):
                return self._ending(succeeded)
            case Answered(failed):
                return event(self._body(failed), "error")
            case _:
                return b"".join(self._piece(piece) for piece in told)

    def _piece(self, piece: Piece) -> bytes:
        self._position = piece.position
        chunk = orjson.loads(piece.json)
        if piece.is_retry:
            if chunk["retrying"]["reset"]:
                self._sent = SentAnswer()
            events = [event(chunk["retrying"], "retrying", piece.position)]
        else:
            self._sent.take(chunk)
            deltas = [_delta(choice) for choice in chunk["choices"] if choice.get("delta")]
            events = [event(delta, "delta", piece.position) for delta in deltas]
        return b"".join(events) if piece.position > self._after else b""

    def _ending(self, result: Succeeded) -> bytes:
        """The rest of the text, if not all of it was written, and the stored answer."""
        completion, head = completion_body(result), b""
        if self._position < self._after:  # written long ago, and forgotten since
            self._sent, head = SentAnswer(), _RESET
        try:
            rest = self._sent.rest(completion)
        except Diverged:
            rest, head = SentAnswer().rest(completion), _RESET
        deltas = b"".join(event(_delta(choice), "delta") for choice in rest if choice["delta"])
        return head + deltas + event(self._body(result), "result")


def _delta(choice: dict[str, Any]) -> dict[str, Any]:
    index = choice.get("index") or 0
    return {**({"index": index} if index else {}), "delta": choice["delta"]}
