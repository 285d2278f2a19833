"""A file of sealing keys (a JWK Set), read at the start and again when it changes."""

import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey
from loguru import logger

from shared.domain.validation import short_echo
from shared.sealing import ALG, CURVE

_LOOK_SECONDS = 1.0

Signature = tuple[int, int, int]


class KeyFileRefused(Exception):
    """The file cannot be used; the message is one line and holds no key."""


class KeyFile:
    """The keys of a file by their `kid`, the current one first.

    A change that cannot be used is logged, and the keys from before stay in use: a slip in a rotation shall
    not stop a running process.
    """

    def __init__(self, variable: str, path: str, *, is_private: bool) -> None:
        self._variable = variable
        self._path = Path(path)
        self._is_private = is_private
        self._signature = _signature(self._path)
        self._keys = self._read()
        self._looked_at = time.monotonic()

    def keys(self) -> Mapping[str, OKPKey]:
        """As the file stood at most a second ago."""
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self.look()
        return self._keys

    def look(self) -> Mapping[str, OKPKey]:
        """As the file stands now."""
        self._looked_at = time.monotonic()
        signature = _signature(self._path)
        if signature != self._signature:
            self._signature = signature
            self._read_again()
        return self._keys

    def _read_again(self) -> None:
        try:
            self._keys = self._read()
        except KeyFileRefused as fault:
            logger.bind(fault=str(fault)).error("key_file_refused")
        else:
            logger.bind(variable=self._variable, kids=list(self._keys)).info("key_file_read")

    def _read(self) -> dict[str, OKPKey]:
        try:
            text = self._path.read_text()
            if self._is_private:
                _check_mode(self._path.stat())
            return parse_keys(text, is_private=self._is_private)
        except OSError as fault:
            raise self._refused(f"cannot be read: {fault.strerror}") from None
        except ValueError as wrong:
            raise self._refused(str(wrong)) from None

    def _refused(self, reason: str) -> KeyFileRefused:
        return KeyFileRefused(f"{self._variable}={self._path}: {reason}")


def parse_keys(text: str, *, is_private: bool) -> dict[str, OKPKey]:
    """The keys of a JWK Set; `ValueError` without a word of its content but names."""
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError('is no JWK Set; allowed: {"keys": [...]}') from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("holds no key; allowed: at least one")
    keys: dict[str, OKPKey] = {}
    for number, entry in enumerate(entries, 1):
        kid, key = _parse_key(entry, f"key {number}", is_private=is_private)
        if kid in keys:
            raise ValueError(f"key {number}: its kid {short_echo(kid)!r} is another key's too")
        keys[kid] = key
    return keys


def _parse_key(entry: Any, name: str, *, is_private: bool) -> tuple[str, OKPKey]:
    if not isinstance(entry, dict) or (entry.get("kty"), entry.get("crv")) != ("OKP", CURVE):
        raise ValueError(f'{name} has another type; allowed: "kty": "OKP", "crv": "{CURVE}"')
    if entry.get("use", "enc") != "enc" or entry.get("alg", ALG) != ALG:
        raise ValueError(f'{name} has another purpose; allowed: "use": "enc", "alg": "{ALG}"')
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise ValueError(f"{name} has no kid")
    if is_private and "d" not in entry:
        raise ValueError(f"{name} ({short_echo(kid)}) is a public key; allowed: the workers' private file")
    if not is_private and "d" in entry:
        raise ValueError(
            f"{name} ({short_echo(kid)}) is a private key, which belongs to the workers alone; "
            "allowed: the public file"
        )
    try:
        members = {name: entry[name] for name in ("kty", "crv", "x", "d", "kid") if name in entry}
        key = OKPKey.import_key(members)
        _ = key.raw_value  # it is made when it is first asked for
    except Exception:  # the library's complaint may quote the key
        raise ValueError(f"{name} ({short_echo(kid)}) is no valid {CURVE} key") from None
    return kid, key


def _check_mode(status: os.stat_result) -> None:
    """Ours: for us alone. Somebody else's, as a mounted secret is root's: for its group, never for all."""
    forbidden = 0o077 if status.st_uid == os.geteuid() else 0o007
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode)
        allowed = "0600" if status.st_uid == os.geteuid() else "0640"
        raise ValueError(
            f"has mode {mode:04o}, so others may use its private keys; allowed: {allowed} (chmod)"
        )


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
