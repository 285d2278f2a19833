"""The two files of sealing keys: private for the workers, public for the gateways; the current key first."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey

from shared.sealing import ALG, CURVE

_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644


def new_key() -> OKPKey:
    """Named by its RFC 7638 thumbprint."""
    return OKPKey.generate_key(CURVE, {"use": "enc", "alg": ALG}, auto_kid=True)


def write_keys(keys: Iterable[OKPKey], private_path: Path, public_path: Path) -> None:
    """The private file first, so that nothing is sealed to a key that no worker has."""
    keys = list(keys)
    _write(private_path, [key.as_dict(private=True) for key in keys], _PRIVATE_MODE)
    _write(public_path, [key.as_dict(private=False) for key in keys], _PUBLIC_MODE)


def _write(path: Path, keys: list[Any], mode: int) -> None:
    """At once or not at all, and never readable by others in between."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps({"keys": keys}, indent=2) + "\n")
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
