"""Records of the request topic: whatever anybody with the right to produce may put there."""

import re
import time
from dataclasses import dataclass, replace
from typing import Literal

import orjson
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.bodies import bodies
from tests.fuzz.json_texts import KEY_CANARY

Header = tuple[str, bytes | None]

_KNOWN_HEADERS = [
    "ce_id",
    "ce_time",
    "ce_expirytime",
    "llm_owner",
    "traceparent",
    "content-type",
    "dlq_reason",
]
_ODD_VALUES = [
    None,
    b"",
    b"\xff\xfe",
    KEY_CANARY.encode(),
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b"2020-01-01T00:00:00Z",
    b"2020-01-01",
    b"team-a",
    b"NaN",
]
_OWNER = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}")
_NOW_MS = int(time.time() * 1000)


@dataclass(frozen=True)
class Sent:
    """A record before it has an offset."""

    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    timestamp_ms: int | None
    kind: Literal["valid", "bad", "any"]


def records() -> SearchStrategy[Sent]:
    return st.one_of(
        _record(_valid_values(), "valid"),
        _record(st.none() | st.binary(max_size=100).map(lambda junk: b"\x00" + junk), "bad"),
        _record(bodies(), "any"),
        _record(_named_bodies(), "any"),
    )


def valid_value(request_id: str, prompt: str = "Why?") -> bytes:
    return orjson.dumps({"request_id": request_id, "user_prompt": prompt})


def _record(
    values: SearchStrategy[bytes | None], kind: Literal["valid", "bad", "any"]
) -> SearchStrategy[Sent]:
    keys = st.none() | st.binary(max_size=40) | st.just(KEY_CANARY.encode())
    drawn = st.builds(Sent, keys, values, _headers(), _timestamps(), st.just(kind))
    return drawn.map(_judged_by_owner)


def _judged_by_owner(sent: Sent) -> Sent:
    """A job of nobody there can be is refused, however good the rest is."""
    told = [value for name, value in sent.headers if name == "llm_owner" and value is not None]
    is_possible = not told or _OWNER.fullmatch(told[-1])
    return sent if is_possible or sent.kind == "any" else replace(sent, kind="bad")


def _valid_values() -> SearchStrategy[bytes | None]:
    return st.uuids().map(lambda uuid: valid_value(str(uuid)))


def _named_bodies() -> SearchStrategy[bytes | None]:
    """Any body, with an id in front, so that more is looked at than the missing id."""

    def named(pair: tuple[bytes, str]) -> bytes:
        body, request_id = pair
        return b'{"request_id":"%s",%s' % (request_id.encode(), body[1:]) if body[:1] == b"{" else body

    return st.tuples(bodies(), st.uuids().map(str)).map(named)


def _headers() -> SearchStrategy[tuple[Header, ...]]:
    """Null, binary, huge, and the same name twice."""
    name = st.sampled_from(_KNOWN_HEADERS) | st.text(st.characters(codec="utf-8"), max_size=10)
    huge = st.sampled_from([1000, 30_000]).map(lambda size: b"x" * size)
    value = st.sampled_from(_ODD_VALUES) | st.binary(max_size=40) | st.none() | huge
    some = st.lists(st.tuples(name, value), max_size=4).map(tuple)
    return st.one_of(st.just(()), some)


def _timestamps() -> SearchStrategy[int | None]:
    return st.one_of(st.none(), st.none(), st.sampled_from([0, -1, 1, _NOW_MS - 10**9, _NOW_MS + 10**6]))
