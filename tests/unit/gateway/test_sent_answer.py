"""A caller of a stream ends with the whole answer or is told so, whatever the provider's stream did."""

from typing import Any

import pytest

from gateway.sent_answer import Diverged, SentAnswer

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chunk(content: str | None = None, *, index: int = 0, finish: str | None = None, **delta: Any) -> Any:
    told = {"content": content, **delta} if content is not None else delta
    return {"id": "c", "choices": [{"index": index, "delta": told, "finish_reason": finish}]}


def completion(text: str | None, finish: str = "stop", **message: Any) -> Any:
    return {
        "choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}]
    }


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for told in chunks if told for choice in told["choices"]
    )


def rest_text(rest: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in rest)


def test_what_comes_first_goes_on_unchanged() -> None:
    sent = SentAnswer()
    chunks = [
        chunk("", role="assistant"),
        chunk("Par"),
        chunk("is"),
        chunk(finish="stop"),
        {"choices": [], "x": 1},
    ]
    assert [sent.take(told) for told in chunks] == chunks
    assert sent.rest(completion("Paris")) == []


@pytest.mark.parametrize(
    "pieces", [["Paris, of course"], ["Pa", "ris, of", " course"], ["P", "", "aris, of course"]]
)
def test_a_new_attempt_in_the_same_words_goes_on_where_the_first_broke(pieces: list[str]) -> None:
    sent = SentAnswer()
    before = [sent.take(chunk("Paris,"))]
    sent.begin_again()
    after = [
        sent.take(told) for told in [chunk("", role="assistant"), *map(chunk, pieces), chunk(finish="stop")]
    ]
    assert text_of(before + after) == "Paris, of course"
    assert sent.rest(completion("Paris, of course")) == []


@pytest.mark.parametrize("again", ["London", "Par", "Paris? No", "paris,"])
def test_a_new_attempt_in_other_words_is_said(again: str) -> None:
    sent = SentAnswer()
    sent.take(chunk("Paris,"))
    sent.begin_again()
    with pytest.raises(Diverged):
        sent.take(chunk(again, finish="stop"))


def test_a_stream_that_stopped_is_completed_from_the_result() -> None:
    sent = SentAnswer()
    sent.take(chunk("Par"))
    rest = sent.rest(completion("Paris", finish="length"))
    assert rest_text(rest) == "is"
    assert rest[-1]["finish_reason"] == "length"
    with pytest.raises(Diverged):
        sent.rest(completion("London"))


def test_without_a_stream_the_whole_answer_is_the_rest() -> None:
    rest = SentAnswer().rest(completion(None, "tool_calls", tool_calls=[CALL], refusal=None))
    assert [choice["delta"] for choice in rest] == [
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [{"index": 0, **CALL}]},
        {},
    ]
    assert rest[-1]["finish_reason"] == "tool_calls"


def test_half_a_tool_call_cannot_be_completed() -> None:
    sent = SentAnswer()
    sent.take(chunk(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{"}}]))
    with pytest.raises(Diverged):
        sent.rest(completion(None, tool_calls=[CALL]))
    sent.begin_again()
    with pytest.raises(Diverged):
        sent.take(chunk("x"))


def test_choices_are_independent() -> None:
    sent = SentAnswer()
    sent.take(chunk("Heads", index=0, finish="stop"))
    sent.take(chunk("Tai", index=1))
    whole = {"choices": [*completion("Heads")["choices"], *completion("Tails")["choices"]]}
    assert [(choice["index"], choice["delta"]) for choice in sent.rest(whole)] == [
        (1, {"content": "ls"}),
        (1, {}),
    ]
