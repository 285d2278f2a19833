"""A caller's key sealed to the workers: a compact JWE whose content binds it to one job and an instant.

ECDH-ES over X25519 with A256GCM and nothing else: no other algorithm, and no compression.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from joserfc.jwe import JWERegistry, decrypt_compact, encrypt_compact
from joserfc.jwk import OKPKey
from joserfc.util import json_b64decode
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import to_json

from shared.domain.invoke_body import check_api_key
from shared.domain.job import DEFAULT_OWNER, Job
from shared.domain.validation import short_echo

ALG = "ECDH-ES"
ENC = "A256GCM"
CURVE: Final = "X25519"
_REGISTRY = JWERegistry(algorithms=[ALG, ENC])
_LATEST = datetime.max.replace(tzinfo=UTC).timestamp() - 1


class SealRefused(ValueError):
    """A sealed key that cannot be opened, and why; holds nothing of it."""


class SealedContent(BaseModel):
    """What is inside."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    openai_api_key: Annotated[SecretStr, AfterValidator(check_api_key)]
    request_id: UUID
    owner: str = DEFAULT_OWNER
    exp: Annotated[float, Field(ge=0, le=_LATEST)]
    """Unix seconds, as in a JWT."""

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.exp, UTC)


def seal(api_key: SecretStr, job: Job, public_key: OKPKey) -> str:
    """The key for this job alone, until its deadline."""
    content = {
        "openai_api_key": api_key.get_secret_value(),
        "request_id": job.id.request_id,
        "owner": job.id.owner,
        "exp": math.ceil(job.deadline.timestamp()),
    }
    protected = {"alg": ALG, "enc": ENC, "kid": public_key.kid}
    return encrypt_compact(protected, to_json(content), public_key, registry=_REGISTRY)


def kid_of(sealed: str) -> str:
    """Which key it is sealed to; `SealRefused` for anything but the one form that is accepted."""
    try:
        header: Any = json_b64decode(sealed.split(".", 1)[0].encode())
    except Exception:  # whatever anybody may have written there
        raise SealRefused("is no compact JWE") from None
    if not isinstance(header, dict):
        raise SealRefused("is no compact JWE")
    for name, allowed in (("alg", ALG), ("enc", ENC)):
        if header.get(name) != allowed:
            raise SealRefused(
                f"{name} {short_echo(str(header.get(name)))!r} is not accepted; allowed: {allowed}"
            )
    if "zip" in header:
        raise SealRefused("zip is not accepted; leave it out")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise SealRefused("names no kid")
    return kid


def open_sealed(sealed: str, keys: Mapping[str, OKPKey]) -> SealedContent:
    """What `seal`, here or elsewhere, put inside; `SealRefused` otherwise."""
    kid = kid_of(sealed)
    if kid not in keys:
        raise SealRefused(f"kid {short_echo(kid)!r} is not known; known: {', '.join(keys)}")
    try:
        plaintext = decrypt_compact(sealed, keys[kid], registry=_REGISTRY).plaintext
    except Exception:  # a hostile header makes the library raise more than its own errors
        raise SealRefused("cannot be opened: it was changed, or sealed otherwise than it says") from None
    try:
        return SealedContent.model_validate_json(plaintext or b"")
    except ValueError:  # not chained: it quotes the content
        raise SealRefused(
            "holds something else than an object of openai_api_key (sk-...), request_id, owner and exp"
        ) from None
