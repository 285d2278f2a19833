"""What the load asks: a body with places for numbers, and what the right answer to it holds.

`{{N}}` becomes the number of the question, `{{M}}` that of the request, twelve digits each.
"""

from dataclasses import dataclass, replace
from uuid import uuid4

import orjson

_SYSTEM = "You are a concise assistant. Answer in one short sentence and do not add anything else."
_PROMPT = "What is the capital of France, and how many people live there as of the last census?"
_HOT = 64


@dataclass(frozen=True)
class Ask:
    """The provider echoes the prompt, so an answer is told from somebody else's."""

    path: str
    body: bytes
    expected: str
    headers: tuple[str, ...] = ()
    questions: int = 0
    """So many different ones in turn; 0: each is new."""
    ids: int = 0


def invoke(*, is_cacheable: bool = False) -> Ask:
    prompt = _prompt()
    body: dict[str, object] = {"request_id": _request_id(), "system_prompt": _SYSTEM, "user_prompt": prompt}
    if is_cacheable:
        body["temperature"] = 0
    return Ask("/invoke", orjson.dumps(body), f'"echo: {prompt}"')


def cache_hits() -> Ask:
    """Equal questions under ever new ids: the answers come from the response cache."""
    return replace(invoke(is_cacheable=True), questions=_HOT)


def replays() -> Ask:
    """The same ids again: the answers are there already."""
    return replace(invoke(), questions=_HOT, ids=_HOT)


def chat_completions(path: str = "/v1/chat/completions", headers: tuple[str, ...] = ()) -> Ask:
    prompt = _prompt()
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": prompt}]
    body = {"model": "gpt-4o-mini", "messages": messages}
    return Ask(path, orjson.dumps(body), f'"echo: {prompt}"', headers)


def _prompt() -> str:
    """Nobody asked it before; the number alone would repeat itself in the next load."""
    return f"{_PROMPT} ({uuid4().hex[:8]}-{{{{N}}}})"


def _request_id() -> str:
    return f"{str(uuid4())[:-12]}{{{{M}}}}"
