"""What is written beside a dead letter's own headers. All of it starts with `dlq_`."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from shared.domain.errors import JobError
from shared.domain.timestamps import rfc3339_now
from shared.domain.validation import TOKEN_PREFIX
from worker.dead_letters.clear_keys import mask
from worker.ports import Record

PREFIX = "dlq_"
REASON = "dlq_reason"
MESSAGE = "dlq_message"
TIME = "dlq_time"
TOPIC = "dlq_topic"
PARTITION = "dlq_partition"
OFFSET = "dlq_offset"
REDRIVES = "dlq_redrives"
"""How often the record was redriven; the only one that travels back to the request topic."""
LEFT_OUT = "dlq_left_out"
"""Bytes of a value that was not kept: it was too large, or held a key in the clear."""
HELD_KEY = "dlq_held_key"
"""Says that the value held one."""
REDRIVEN = "dlq_redriven"
"""Marks a record that is no letter: it says that the letter at this offset of its partition was redriven."""
REQUEST_ID = "dlq_request_id"

MOST_MESSAGE_CHARACTERS = 500
_MOST_REDRIVES = 1_000_000
_KEY = re.compile(rf"(sk-|{TOKEN_PREFIX})[^\s\"'\\,;]+")

Headers = list[tuple[str, bytes]]


def reason_headers(record: Record, error: JobError) -> Headers:
    """Why and where from; short, and no key in them."""
    told = {
        REASON: error.error_code.value,
        MESSAGE: mask_keys(error.message)[:MOST_MESSAGE_CHARACTERS],
        TIME: rfc3339_now(),
        TOPIC: record.topic,
        PARTITION: str(record.partition),
        OFFSET: str(record.offset),
    }
    redriven = redrives_of(dict(record.headers))
    if redriven:
        told[REDRIVES] = str(redriven)
    return encode(told)


def original_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Without ours: a letter that died before shall tell only of its last death. No key stays in them."""
    return [
        (name, mask(value) if value is not None else value)
        for name, value in headers
        if not name.startswith(PREFIX)
    ]


def redrives_of(headers: Mapping[str, bytes | None]) -> int:
    """The count, 0 where there is none; a producer may have written anything there."""
    with suppress(ValueError, TypeError):
        return min(max(int(headers[REDRIVES] or b"0"), 0), _MOST_REDRIVES) if REDRIVES in headers else 0
    return 0


def encode(texts: Mapping[str, str]) -> Headers:
    return [(name, text.encode(errors="replace")) for name, text in texts.items()]


def mask_keys(text: str) -> str:
    """A key or token that somebody put anywhere is not repeated."""
    return _KEY.sub(r"\1...", text)
