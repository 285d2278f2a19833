"""What goes into a stream, in how many steps, and what happens when it cannot."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from shared.adapters.memory_answer_streams import MemoryAnswerStreams
from shared.domain.job import JobId
from shared.ports import Run, StoreUnavailable
from worker import answer_stream as module
from worker.answer_stream import answer_stream

RUN = Run(JobId("public", "5f0c5f3e-7d4c-4b39-9d0e-0f6a4a3a1c55"), "run", "f" * 64)


class RecordingStreams(MemoryAnswerStreams):
    """Counts the steps; fails or refuses from one of them on."""

    def __init__(self, *, fails_at: int = 0, refuses_at: int = 0) -> None:
        super().__init__()
        self.steps: list[list[Any]] = []
        self._fails_at = fails_at
        self._refuses_at = refuses_at

    async def append(self, run: Run, first: int, pieces: Sequence[bytes]) -> bool:
        self.steps.append([orjson.loads(piece) for piece in pieces])
        await asyncio.sleep(0)
        if len(self.steps) == self._fails_at:
            raise StoreUnavailable("away")
        return len(self.steps) != self._refuses_at and await super().append(run, first, pieces)

    async def pieces(self) -> list[Any]:
        return [orjson.loads(piece.json) for piece in await self.read(RUN.id, 0)]


def text(content: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "delta": {"content": content}, **more}]}


async def test_the_first_chunk_goes_at_once_and_what_comes_meanwhile_in_one_step() -> None:
    streams = RecordingStreams()
    async with answer_stream(streams, RUN) as stream:
        stream.add(text("a"))
        while not streams.steps:
            await asyncio.sleep(0)
        for word in ["", "b", "c", "d"][1:]:
            stream.add(text(f" {word}"))
    assert streams.steps == [[text("a")], [text(" b c d")]]


async def test_the_first_word_waits_for_nobody_though_a_role_came_before_it() -> None:
    streams = RecordingStreams()
    role = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    async with answer_stream(streams, RUN) as stream:
        stream.add(role)
        while not streams.steps:
            await asyncio.sleep(0)
        stream.add(text("a"))
        for _ in range(20):
            await asyncio.sleep(0)  # no time passes
        assert streams.steps == [[role], [text("a")]]
        stream.add(text("b"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(streams.steps) == 2
    assert streams.steps[2:] == [[text("b")]]


@pytest.mark.parametrize(
    ("chunks", "pieces"),
    [
        ([text("a"), text("b", index=1)], 2),
        ([text("a"), text("b", finish_reason="stop")], 2),
        ([text("a"), text("b", logprobs={"content": [{}]})], 2),
        ([text("a"), {"choices": [{"index": 0, "delta": {"content": "b", "role": "assistant"}}]}], 2),
        ([text("a"), {"choices": [], "usage": {}}], 2),
        ([text("a"), text("b"), text("c")], 1),
    ],
)
async def test_only_plain_text_of_one_choice_is_put_together(
    chunks: list[dict[str, Any]], pieces: int
) -> None:
    streams = RecordingStreams()
    async with answer_stream(streams, RUN) as stream:
        for chunk in orjson.loads(orjson.dumps(chunks)):
            stream.add(chunk)
    assert len(await streams.pieces()) == pieces
    whole = [
        choice["delta"].get("content", "") for piece in await streams.pieces() for choice in piece["choices"]
    ]
    assert "".join(whole) == "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )


async def test_a_retry_says_whether_anything_counts_no_more() -> None:
    streams = RecordingStreams()
    async with answer_stream(streams, RUN) as stream:
        stream.retrying(2, is_first_here=False)
        stream.add(text("a"))
        stream.retrying(3, is_first_here=False)
    told = [piece["retrying"] for piece in await streams.pieces() if "retrying" in piece]
    assert told == [{"attempt": 2, "reset": False}, {"attempt": 3, "reset": True}]


async def test_a_run_after_another_cannot_know_what_that_wrote() -> None:
    streams = RecordingStreams()
    async with answer_stream(streams, RUN) as stream:
        stream.retrying(2, is_first_here=True)
    assert await streams.pieces() == [{"retrying": {"attempt": 2, "reset": True}}]


@pytest.mark.parametrize("faults", [{"fails_at": 2}, {"refuses_at": 2}], ids=["away", "overtaken"])
async def test_a_stream_with_a_hole_ends_there(faults: dict[str, int]) -> None:
    streams = RecordingStreams(**faults)
    async with answer_stream(streams, RUN) as stream:
        for number in range(1, 5):
            stream.add(text(f"{number}"))
            while len(streams.steps) < min(number, 2):
                await asyncio.sleep(0.001)
    assert len(streams.steps) == 2
    assert await streams.pieces() == [text("1")]


async def test_a_stream_is_no_longer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 200)
    streams = RecordingStreams()
    async with answer_stream(streams, RUN) as stream:
        stream.add(text("a"))
        while not streams.steps:
            await asyncio.sleep(0)
        stream.add(text("b" * 200))
    assert await streams.pieces() == [text("a")]


async def test_what_was_written_is_there_when_the_call_is_cut_off() -> None:
    streams = RecordingStreams()

    async def call() -> None:
        async with answer_stream(streams, RUN) as stream:
            stream.add(text("a"))
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call(), 0.02)
    assert await streams.pieces() == [text("a")]
