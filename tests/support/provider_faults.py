"""What the scripted provider can do wrong, by the word that asks for it.

Every word is one of three kinds: another shape of the JSON, other bytes of the body, or trouble on the wire.
"""

import gzip
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Json = dict[str, Any]
Headers = dict[str, str]

_BOMB_BYTES = 8 * 1024 * 1024
_NESTED = b"[" * 230 + b"]" * 230  # can be parsed and written, and not be read again


def _usage(**counts: object) -> Callable[[Json], Json]:
    return lambda body: body | {"usage": body["usage"] | counts}


def _choice(**more: object) -> Callable[[Json], Json]:
    return lambda body: body | {"choices": [body["choices"][0] | more]}


def _message(**more: object) -> Callable[[Json], Json]:
    return lambda body: _choice(message=body["choices"][0]["message"] | more)(body)


SHAPES: dict[str, Callable[[Json], Any]] = {
    "list": lambda body: [body],
    "null": lambda _: None,
    "no_choices": lambda body: {name: value for name, value in body.items() if name != "choices"},
    "null_choices": lambda body: body | {"choices": None},
    "empty_choices": lambda body: body | {"choices": []},
    "null_message": _choice(message=None),
    "foreign_role": _message(role="user"),
    "number_content": _message(content=5),
    "junk_tool_calls": _message(tool_calls=["junk", None]),
    "number_finish": _choice(finish_reason=7),
    "error_inside": lambda body: body | {"error": {"message": "scripted error", "code": 502}},
    "no_usage": lambda body: {name: value for name, value in body.items() if name != "usage"},
    "negative_usage": _usage(prompt_tokens=-1),
    "text_usage": _usage(completion_tokens="many"),
    "list_usage": lambda body: body | {"usage": [1, 2, 3]},
    "huge_usage": _usage(total_tokens=2**63),
    "junk_details": _usage(prompt_tokens_details="junk"),
    "no_model": lambda body: {name: value for name, value in body.items() if name != "model"},
    "number_model": lambda body: body | {"model": 4},
    "junk_logprobs": _choice(logprobs={"content": [{"logprob": "high"}]}),
}


@lru_cache
def _bomb() -> bytes:
    return gzip.compress(b" " * _BOMB_BYTES)


BYTES: dict[str, Callable[[bytes], tuple[bytes, Headers]]] = {
    "malformed": lambda body: (body[: len(body) // 2], {}),
    "invalid_utf8": lambda body: (body.replace(b"echo", b"\xff\xfe\x80"), {}),
    "utf16": lambda body: (
        body.decode().encode("utf-16"),
        {"content-type": "application/json; charset=utf-16"},
    ),
    "false_gzip": lambda body: (body, {"content-encoding": "gzip"}),
    "bomb": lambda _: (_bomb(), {"content-encoding": "gzip"}),
    "nested": lambda body: (body.replace(b'"refusal":null', b'"refusal":' + _NESTED), {}),
    "cookie": lambda body: (body, {"set-cookie": "session=another-callers; Path=/"}),
}

WIRE = frozenset(
    {
        "hang",  # never answers
        "cut",  # ends in the middle of the body
        "stall",  # stays there, silent
        "drip",  # stays there, and sends a byte now and then
        "endless_body",
        "endless_header",
        "endless_headers",
        "short_length",  # sends more than its content-length says
        "noise",  # is not HTTP
    }
)

FAULTS = frozenset({*SHAPES, *BYTES, *WIRE})
