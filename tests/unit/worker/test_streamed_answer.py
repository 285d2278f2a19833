"""Chunks come to the answer that the provider would have sent whole."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.domain.errors import ErrorCode
from worker.llm.streamed_answer import StreamedAnswer
from worker.ports import LLMError, OutcomeUnknown, Rejected

RECORDED = Path(__file__).parents[2] / "support" / "recorded"
NAMES = sorted(path.stem for path in RECORDED.glob("*.json") if path.stem != "empty_choices")
DONE = b"data: [DONE]\n\n"


def recorded(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    whole = orjson.loads((RECORDED / f"{name}.json").read_bytes())
    return whole["answer"], whole["chunks"]


def body_of(chunks: list[dict[str, Any]], line_end: bytes = b"\n") -> bytes:
    events = [b"data: " + orjson.dumps(chunk) + line_end * 2 for chunk in chunks]
    return b": a comment" + line_end * 2 + b"".join(events) + DONE


def read(body: bytes, size: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    answer = StreamedAnswer(told.append)
    for start in range(0, len(body), size or len(body)):
        answer.feed(body[start : start + (size or len(body))])
    return answer.whole(), told


def without_nulls(value: Any) -> Any:
    """A stream leaves out what a whole answer says is null."""
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part not in (None, [])}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 0], ids=["bytes", "pieces", "whole"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_stream_comes_to_the_whole_answer(name: str, size: int, line_end: bytes) -> None:
    answer, chunks = recorded(name)
    whole, told = read(body_of(chunks, line_end), size)
    assert without_nulls(whole) == without_nulls(answer)
    assert told == chunks


def test_what_comes_after_the_end_is_not_read() -> None:
    _, chunks = recorded("tools")
    answer = StreamedAnswer(lambda _: None)
    answer.feed(body_of(chunks) + b"data: nonsense\n\n")
    assert answer.is_done


def test_a_stream_that_ends_early_has_an_unknown_outcome() -> None:
    _, chunks = recorded("logprobs")
    body = body_of(chunks[:-2]).removesuffix(DONE)
    with pytest.raises(OutcomeUnknown, match="ended too early"):
        read(body)
    with pytest.raises(OutcomeUnknown, match="ended too early"):
        read(DONE)


def test_a_server_that_never_says_done_is_believed_when_every_choice_has_ended() -> None:
    answer, chunks = recorded("two_choices")
    whole, _ = read(body_of(chunks).removesuffix(DONE))
    assert without_nulls(whole) == without_nulls(answer)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"5",
        b"null",
        b'{"choices": 5}',
        b'{"choices": [5]}',
        b'{"choices": [{"index": -1, "delta": {}}]}',
        b'{"choices": [{"index": 1000000, "delta": {}}]}',
        b'{"choices": [{"delta": 5}]}',
        b'{"choices": [{"delta": {"tool_calls": [5]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 7}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": "0"}]}}]}',
        b'{"choices": [{"delta": {}, "logprobs": 5}, {"delta": {}, "logprobs": {"content": [1]}}]}',
        b"\xff\xfe",
    ],
)
def test_nonsense_is_said_and_breaks_nothing(data: bytes) -> None:
    begun = b'data: {"choices": [{"delta": {}, "logprobs": {"content": []}}]}\n\n'
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        read(begun + b"data: " + data + b"\n\n" + DONE)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"code": "context_length_exceeded"}, Rejected, ErrorCode.CONTEXT_TOO_LONG),
        ({"message": "overloaded"}, OutcomeUnknown, ErrorCode.UPSTREAM_INVALID_RESPONSE),
        ("overloaded", OutcomeUnknown, ErrorCode.UPSTREAM_INVALID_RESPONSE),
    ],
)
def test_an_error_in_a_stream_is_the_error_of_the_call(
    error: Any, kind: type[LLMError], code: ErrorCode
) -> None:
    with pytest.raises(kind) as fault:
        read(b"data: " + orjson.dumps({"error": error}) + b"\n\n")
    assert fault.value.code == code


def test_chunks_without_choices_or_delta_are_as_good_as_empty() -> None:
    body = b'data: {"id": "c", "usage": {"x": 1}}\n\ndata: {"choices": [{"index": 0, "delta": null}]}\n\n'
    word = b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'
    whole, told = read(body + word + DONE)
    assert whole["choices"][0]["message"]["content"] == "a"
    assert [len(chunk["choices"]) for chunk in told] == [0, 1, 1]


def test_its_size_is_what_it_says_and_not_what_every_chunk_repeats() -> None:
    _, chunks = recorded("tools")
    answer = StreamedAnswer(lambda _: None)
    for chunk in chunks * 50:
        answer.feed(b"data: " + orjson.dumps({**chunk, "choices": []}) + b"\n\n")
    assert answer.size_bytes < 20_000
    for _ in range(100):
        answer.feed(b'data: {"choices": [{"delta": {"content": "' + b"a" * 1000 + b'"}}]}\n\n')
    assert answer.size_bytes > 50_000


def test_a_line_without_an_end_is_not_kept() -> None:
    answer = StreamedAnswer(lambda _: None)
    answer.feed(b"a" * 1_000_000)
    answer.feed(b"a" * 1_000_000)
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        answer.feed(b"a" * 1_000_000)
