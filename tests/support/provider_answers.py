"""The bodies an OpenAI-compatible provider answers with."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from tests.support.provider_behaviour import Behaviour

Json = dict[str, Any]

_RECORDED = Path(__file__).parent / "recorded"
_TOKEN = re.compile(r"\s*\S+|\s+")
_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_TYPES_OF_CODES = {"insufficient_quota": "insufficient_quota"}
_TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"word":"test"}'},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion: the same words as a whole body or as a stream of chunks."""

    number: int
    model: str
    content: str
    finish: str
    has_tool_calls: bool
    has_logprobs: bool
    usage: Json

    def body(self) -> Json:
        message: Json = {"role": "assistant", "content": self.content, "refusal": None, "annotations": []}
        if self.has_tool_calls:
            message |= {"content": None, "tool_calls": [_TOOL_CALL]}
        choice = self._choice(finish=self.finish, logprobs=self._logprobs(_tokens(self.content)))
        return self._envelope("chat.completion", [choice | {"message": message}], self.usage)

    def chunks(self, *, has_usage: bool) -> Iterator[Json]:
        yield self._chunk({"role": "assistant", "content": "", "refusal": None})
        if self.has_tool_calls:
            yield self._chunk({"tool_calls": [{"index": 0, **_TOOL_CALL}]})
        else:
            for token in _tokens(self.content):
                yield self._chunk({"content": token}, logprobs=self._logprobs([token]))
        yield self._chunk({}, finish=self.finish)
        if has_usage:
            yield self._envelope("chat.completion.chunk", [], self.usage)

    def _chunk(self, delta: Json, *, finish: str | None = None, logprobs: Json | None = None) -> Json:
        choice = self._choice(finish=finish, logprobs=logprobs) | {"delta": delta}
        return self._envelope("chat.completion.chunk", [choice], None)

    def _envelope(self, kind: str, choices: list[Json], usage: Json | None) -> Json:
        return {
            "id": f"chatcmpl-{self.number}",
            "object": kind,
            "created": int(time.time()),
            "model": self.model,
            "choices": choices,
            "usage": usage,
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }

    def _choice(self, *, finish: str | None, logprobs: Json | None) -> Json:
        return {"index": 0, "finish_reason": finish, "logprobs": logprobs}

    def _logprobs(self, tokens: list[str]) -> Json | None:
        if not self.has_logprobs:
            return None
        return {"content": [_logprob(token) for token in tokens], "refusal": None}


def answer(number: int, request: Json, prompt: str, behaviour: Behaviour) -> Answer:
    content = f"echo: {prompt}"
    return Answer(
        number=number,
        model=behaviour.model or str(request.get("model", "")),
        content=content,
        usage=_usage(prompt, content, behaviour),
        finish="tool_calls" if behaviour.tool_calls else behaviour.finish,
        has_tool_calls=behaviour.tool_calls,
        has_logprobs=request.get("logprobs") is True,
    )


@cache
def recorded(name: str) -> Json:
    """`answer` and `chunks`, as a provider sends them."""
    whole: Json = orjson.loads((_RECORDED / f"{name}.json").read_bytes())
    return whole


def error_body(status: int, code: str | None = None) -> Json:
    kind, usual_code = _ERRORS.get(status, ("server_error", None))
    code = code or usual_code
    kind = _TYPES_OF_CODES.get(code or "", kind)
    return {"error": {"message": f"scripted {status}", "type": kind, "param": None, "code": code}}


def _usage(prompt: str, content: str, behaviour: Behaviour) -> Json:
    asked = behaviour.prompt_tokens or len(_tokens(prompt))
    answered = len(_tokens(content)) + behaviour.reasoning_tokens
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered + behaviour.beside_tokens,
        "prompt_tokens_details": {"cached_tokens": behaviour.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": behaviour.reasoning_tokens, "audio_tokens": 0},
    }


def models_body() -> Json:
    model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "scripted"}
    return {"object": "list", "data": [model]}


def _tokens(text: str) -> list[str]:
    """About a word each; joined again they are the text."""
    return _TOKEN.findall(text)


def _logprob(token: str) -> Json:
    return {"token": token, "logprob": -0.01 * len(token), "bytes": list(token.encode()), "top_logprobs": []}
