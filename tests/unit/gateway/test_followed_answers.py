"""What somebody who follows an answer is told while nothing comes, and when the replica ends."""

from collections.abc import AsyncGenerator

import pytest

from gateway.answer_events import AnswerEvents
from gateway.chat.chunks import CompletionChunks
from gateway.following import Ended, Quiet, Told, begun
from gateway.service import Answered
from shared.domain.answer_body import success_body
from shared.domain.result import Failed, Succeeded
from shared.ports import Piece
from tests.support.jobs import make_failure, make_job, make_success

SUCCEEDED, FAILED = make_success(make_job()), make_failure(make_job())
WORD = Piece(1, b'{"id":"c","choices":[{"index":0,"delta":{"content":"Par"},"finish_reason":null}]}')
RETRY = Piece(2, b'{"retrying":{"attempt":2,"reset":true}}')


async def told(*what: Told) -> AsyncGenerator[Told]:
    for one in what:
        yield one


def body(result: Succeeded | Failed) -> dict[str, object]:
    return success_body(result) if isinstance(result, Succeeded) else {"success": False}


async def sent(kind: str, *what: Told) -> list[bytes]:
    if kind == "events":
        return [event async for event in AnswerEvents(0, body).events(told(*what))]
    chunks = CompletionChunks("id", "trace", 0, includes_usage=False)
    return [event async for event in chunks.events(told(*what))]


@pytest.mark.parametrize("kind", ["events", "chat"])
async def test_who_hears_nothing_for_fifteen_seconds_is_pinged(kind: str) -> None:
    assert await sent(kind, *[Quiet()] * 14, [WORD], *[Quiet()] * 14) == await sent(kind, [WORD])
    pings = await sent(kind, *[Quiet()] * 31)
    assert pings == [b": ping\n\n"] * 2


async def test_a_replica_that_ends_says_so() -> None:
    [goes_on] = await sent("events", Ended())
    assert goes_on.startswith(b": ")
    assert b"retry: 100\n" in goes_on
    [error] = await sent("chat", Ended())
    assert b'"code":"still_running"' in error


async def test_a_chat_that_fails_in_its_middle_ends_with_openais_error() -> None:
    *_, error = await sent("chat", [WORD], Answered(FAILED))
    assert b'"error":{"message":"it failed"' in error
    assert b"[DONE]" not in error


async def test_a_chat_whose_new_attempt_differs_says_so() -> None:
    other = Piece(3, b'{"id":"d","choices":[{"index":0,"delta":{"content":"London"},"finish_reason":null}]}')
    *_, error = await sent("chat", [WORD], [RETRY], [other], Answered(SUCCEEDED))
    assert b"other words" in error


async def test_what_was_not_written_comes_from_the_result() -> None:
    events = b"".join(await sent("chat", [WORD], Answered(SUCCEEDED)))
    assert b'"delta":{"content":"is"}' in events
    assert events.endswith(b"data: [DONE]\n\n")
    events = b"".join(await sent("events", [WORD], [RETRY], Answered(SUCCEEDED)))
    assert events.count(b"event: delta") == 2
    assert b'"content":"Paris"' in events


async def test_a_stream_begins_with_what_tells_how_it_goes() -> None:
    first, all_of_it = await begun(told(Quiet(), [RETRY], [WORD], Answered(SUCCEEDED)))
    assert first == [WORD]
    assert [one async for one in all_of_it] == [Quiet(), [RETRY], [WORD], Answered(SUCCEEDED)]
    first, _ = await begun(told([RETRY], Answered(FAILED)))
    assert first == Answered(FAILED)
    first, _ = await begun(told(*[Quiet()] * 15, Ended()))
    assert first == Quiet()  # a word is due before a proxy gives up
