"""What is asked: every kind of end, of price and of fault that a fact can tell of."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

Then = Literal["cancel", "ask again", "replay", "twin"]
_MODELS = ("gpt-4o-mini", "gpt-4o", "house-1", "mystery-1")
_EQUAL_QUESTIONS = 30
FAILED_FIRST: Mapping[str, int] = {
    "jobs:failed": 1,
    "error:UPSTREAM_UNAVAILABLE": 1,
    "retry:UPSTREAM_UNAVAILABLE": 3,
}
"""What the first run of "fails, asked again" comes to."""
_DIRECT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Question:
    """One job, and what its caller does beside waiting for it."""

    body: Mapping[str, Any]
    is_direct: bool = False
    then: Then | None = None
    request_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def prompt(self) -> str:
        return str(self.body["user_prompt"])


@dataclass(frozen=True)
class _Kind:
    share: int
    directive: Callable[[random.Random], str] | str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    then: Then | None = None
    may_be_direct: bool = True


def _counted(chance: random.Random) -> str:
    prompt = chance.randint(500, 5000)
    return (
        f"[[prompt_tokens={prompt} cached_tokens={chance.randint(1, prompt)} "
        f"reasoning_tokens={chance.randint(0, 500)} beside_tokens={chance.choice((0, 0, 77))}]]"
    )


_KINDS: Mapping[str, _Kind] = {
    "plain": _Kind(25),
    "cached and reasoning tokens": _Kind(14, _counted),
    "another model answers": _Kind(4, "[[model=gpt-4o-mini-2024-07-18]]", {"model": "gpt-4o-mini"}),
    "streamed": _Kind(5, more={"stream": True}, may_be_direct=False),
    "equal": _Kind(12, more={"temperature": 0}),
    "429": _Kind(8, lambda chance: f"[[status=429 times={chance.randint(1, 2)} retry_after=0.05]]"),
    "5xx": _Kind(6, lambda chance: f"[[status={chance.choice((500, 502, 503))} times=1]]"),
    "no answer": _Kind(2, "[[hang times=1]]"),
    "cut answer": _Kind(4, "[[cut times=1]]"),
    "nonsense": _Kind(2, "[[malformed times=1]]"),
    "no usage": _Kind(1, "[[no_usage times=1]]"),
    "refused for good": _Kind(3, "[[status=400 code=context_length_exceeded]]"),
    "fails, asked again": _Kind(3, "[[status=503 times=4]]", then="ask again", may_be_direct=False),
    "cancelled": _Kind(3, "[[latency_ms=60000]]", then="cancel"),
    "expires": _Kind(2, "[[latency_ms=60000]]", {"deadline_seconds": 2}),
    "unknown is final": _Kind(2, "[[cut times=1]]", {"on_unknown": "fail"}),
    "replayed": _Kind(4, then="replay", may_be_direct=False),
    "asked twice at once": _Kind(3, then="twin", may_be_direct=False),
}


def make_questions(count: int, seed: int) -> list[Question]:
    """The same kinds in the same order for the same seed."""
    chance = random.Random(seed)
    shares = [kind.share for kind in _KINDS.values()]
    drawn = chance.choices([*_KINDS], shares, k=count)
    return [_question(number, name, chance) for number, name in enumerate(drawn)]


def _question(number: int, name: str, chance: random.Random) -> Question:
    kind = _KINDS[name]
    directive = kind.directive if isinstance(kind.directive, str) else kind.directive(chance)
    which = f"equal {number % _EQUAL_QUESTIONS}" if name == "equal" else f"{name} {number}"
    model = _MODELS[number % len(_MODELS)] if name != "equal" else "gpt-4o-mini"
    body = {"user_prompt": f"{which} {directive}".strip(), "model": model, **kind.more}
    return Question(body, kind.may_be_direct and chance.random() < _DIRECT_SHARE, kind.then)
