"""Keys in the clear, in a record that is to be buried: a dead letter is no second place for them."""

import re
from contextlib import suppress

from pydantic_core import from_json, to_json

_KEY = re.compile(rb"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}")
"""What looks like one, wherever it stands. Shorter ones are words, like the language tag sk-SK."""
_FIELD = re.compile(rb'"openai_api_key"\s*:\s*(?!null\b)')


def holds_key(value: bytes | None) -> bool:
    """Whether there is a key in it, or anything else where a key belongs."""
    return value is not None and any(
        pattern.search(text) for text in (value, _unescaped(value)) for pattern in (_KEY, _FIELD)
    )


def mask(text: bytes) -> bytes:
    """Without the keys in it."""
    return _KEY.sub(b"sk-...", text)


def _unescaped(value: bytes) -> bytes:
    r"""JSON may write any letter as \u0041."""
    if b"\\u" in value:
        with suppress(ValueError):
            return to_json(from_json(value))
    return value
