"""Clients' tokens, of which only the SHA-256 is kept."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from shared.domain.job import OWNER_RULE, is_owner
from shared.domain.validation import TOKEN_PREFIX

ClientTokens = Mapping[bytes, str]
"""SHA-256 of a token -> the client's name. A client may have several, so that one can replace another."""

_TOKEN_BYTES = 32
_HASH = re.compile(r"[0-9a-f]{64}")


def new_token() -> str:
    """256 random bits, with a prefix that tells what they are."""
    return TOKEN_PREFIX + secrets.token_hex(_TOKEN_BYTES)


def entry_of(name: str, token: str) -> str:
    """What `LLM_AUTH_TOKENS` or its file says of a client."""
    return f"{name}={_digest(token.encode()).hex()}"


def parse_client_tokens(text: str) -> ClientTokens:
    """`name=hash`, apart by commas or lines, with # comments; `ValueError` repeats no hash and no token."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
    tokens: dict[bytes, str] = {}
    for number, entry in enumerate(entries, 1):
        name, digest = _parse_entry(number, entry)
        if tokens.setdefault(digest, name) != name:
            raise ValueError(f"entry {number}: {name} has the same token as {tokens[digest]}")
    return tokens


def client_of(tokens: ClientTokens, token: bytes) -> str | None:
    """Whose token it is. Every hash is compared, so the time tells neither whose nor how close."""
    told = _digest(token)
    found = None
    for digest, name in tokens.items():
        if hmac.compare_digest(digest, told):
            found = name
    return found


def _parse_entry(number: int, entry: str) -> tuple[str, bytes]:
    name, _, digest = (part.strip() for part in entry.partition("="))
    if not is_owner(name):
        raise ValueError(f"entry {number}: a client's name must come before '='; allowed: {OWNER_RULE}")
    if not _HASH.fullmatch(digest):
        raise ValueError(
            f"entry {number}: after {name}= must come the SHA-256 of its token as 64 lower-case hex digits; "
            f"python -m gateway.tokens new {name} prints such an entry"
        )
    return name, bytes.fromhex(digest)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
