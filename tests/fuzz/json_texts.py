"""JSON as text, so that it may hold what no parsed value can: duplicate keys, NaN, half a surrogate pair."""

import json

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shared.domain.invoke_body import InvokeBody, Message

MARK = "CANARY"
KEY_CANARY = f"sk-{MARK}-0123456789abcdef"
"""Stands for a caller's key: in no answer, whatever the field it was pasted into."""

FIELDS = [*InvokeBody.model_fields, *Message.model_fields, "role", "schema", "stream", "type"]

_ODD_SCALARS = [
    "null",
    "true",
    "NaN",
    "-Infinity",
    "1e999",
    "-0",
    "5.0",
    "01",
    '"\\ud800"',
    '"\\u0000"',
    '"\ufeff"',
    "'x'",
    json.dumps(KEY_CANARY),
    json.dumps(f"my key is {KEY_CANARY}, keep it"),
    json.dumps("{" + KEY_CANARY),
]


def scalars() -> SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(_ODD_SCALARS),
        st.integers().map(str),
        st.sampled_from([20, 400, 5000]).map(lambda digits: "9" * digits),
        st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
        st.text(max_size=40).map(json.dumps),
        st.text(max_size=40).map(lambda text: f'"{text}"'),
        st.uuids().map(lambda uuid: f'"{uuid}"'),
    )


def names() -> SearchStrategy[str]:
    odd = [KEY_CANARY, f"x.{KEY_CANARY}", f"[{KEY_CANARY}]", "", "__proto__", "a" * 90]
    return st.one_of(st.sampled_from(FIELDS), st.sampled_from(odd), st.text(max_size=20))


def values() -> SearchStrategy[str]:
    """Any value, nested at times as deep as a stack."""
    nested = st.recursive(scalars(), lambda inner: arrays(inner) | objects(inner), max_leaves=8)
    return st.one_of(nested, scalars(), _deep())


def arrays(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]")


def objects(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    """Names may come twice."""
    return st.lists(st.tuples(names(), inner), max_size=5).map(object_text)


def object_text(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


def _deep() -> SearchStrategy[str]:
    depths = st.sampled_from([10, 100, 190, 200, 210, 1000, 20_000])
    brackets = st.sampled_from([("[", "]"), ('{"a":', "}"), ("[", "")])
    return st.tuples(depths, brackets).map(lambda deep: deep[1][0] * deep[0] + "1" + deep[1][1] * deep[0])
