"""Request bodies: bytes of any kind, and bodies that are right but for a field or two."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.json_texts import FIELDS, KEY_CANARY, names, object_text, scalars, values

_ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]
_LATIN_1 = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f")
_HEADER_TEXT = st.text(_LATIN_1, max_size=30)
_PREFER = [
    "wait=1",
    "wait=-1",
    "wait=nan",
    "wait=inf",
    "respond-async",
    "handling=strict",
    f"wait={KEY_CANARY}",
]
_CONTENT_TYPES = [
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
]


@dataclass(frozen=True)
class Posted:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes


def posted() -> SearchStrategy[Posted]:
    return st.builds(Posted, _paths(), _headers(), bodies())


def bodies() -> SearchStrategy[bytes]:
    return st.one_of(
        st.binary(max_size=200),
        _encoded(values()),
        _encoded(_nearly_right()),
        _encoded(_nearly_right()),
        _cut(),
    )


def _encoded(texts: SearchStrategy[str]) -> SearchStrategy[bytes]:
    def encode(pair: tuple[str, str]) -> bytes:
        text, encoding = pair
        return text.encode(encoding, errors="backslashreplace" if encoding == "latin-1" else "surrogatepass")

    return st.tuples(texts, st.sampled_from(_ENCODINGS)).map(encode)


def _nearly_right() -> SearchStrategy[str]:
    """A question with members added before and after it, some of them twice."""
    member = st.tuples(st.sampled_from(FIELDS) | names(), values() | scalars())
    around = st.lists(member, max_size=2)
    return st.tuples(around, around).map(
        lambda pair: object_text([*pair[0], ("user_prompt", '"Why?"'), *pair[1]])
    )


def _cut() -> SearchStrategy[bytes]:
    return st.tuples(_nearly_right(), st.floats(0, 1)).map(
        lambda pair: pair[0].encode(errors="surrogatepass")[: int(len(pair[0]) * pair[1])]
    )


def _paths() -> SearchStrategy[str]:
    return st.sampled_from(
        ["/invoke", "/invoke", "/submit", "/invoke?wait=1", "/invoke?wait=x", f"/invoke?wait={KEY_CANARY}"]
    )


def _headers() -> SearchStrategy[dict[str, str]]:
    keys = st.one_of(st.uuids().map(str), st.just(KEY_CANARY), _HEADER_TEXT)
    optional = {
        "prefer": st.sampled_from(_PREFER) | _HEADER_TEXT,
        "idempotency-key": keys,
        "content-type": st.sampled_from(_CONTENT_TYPES) | _HEADER_TEXT,
        "traceparent": _HEADER_TEXT,
        "authorization": st.just(f"Bearer {KEY_CANARY}"),
    }
    return st.one_of(st.just({}), st.just({}), st.fixed_dictionaries({}, optional=optional))
