"""What may be set, in words, and `--check`: the settings as they would take effect."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_CHECK = "--check"
_CREDENTIALS = re.compile(r"//.*@")
_PASSWORD_PARAMETER = re.compile(r"(password=)[^&]*")
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_LIMITS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


def end_if_checking(load: Callable[[], BaseSettings], arguments: Sequence[str] | None = None) -> None:
    """With `--check`, print what `load` reads and exit with 0, or with what is wrong and 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        return
    if words != [_CHECK]:
        _exit_wrong(f"{' '.join(words)}: unknown; allowed: nothing, or {_CHECK}")
    try:
        settings = load()
    except SystemExit as refusal:
        _exit_wrong(str(refusal.code))
    sys.stdout.write("\n".join(effective_lines(settings)) + "\n")
    raise SystemExit(0)


def _exit_wrong(told: str) -> None:
    sys.stderr.write(f"{told}\n")
    raise SystemExit(2)


def effective_lines(settings: BaseSettings) -> list[str]:
    """`NAME=value` of every setting; a secret is `***`, and of an address only its credentials are."""
    fields = type(settings).model_fields
    return [f"{name.upper()}={_shown(name, getattr(settings, name))}" for name in fields]


def _shown(name: str, value: object) -> str:
    match value:
        case SecretStr() if name.endswith("_url"):
            return without_credentials(value.get_secret_value())
        case SecretStr():
            return "***" if value.get_secret_value() else ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return without_credentials(str(value))


def without_credentials(text: str) -> str:
    """An address without what only its owner may know."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _CREDENTIALS.sub("//***@", text))


def allowed(field: FieldInfo) -> str:
    """What a setting may hold."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    if field.examples:
        return f"text such as {' or '.join(map(str, field.examples))}"
    kind = _KINDS.get(getattr(field.annotation, "__name__", ""), "text that is not empty")
    found = {name: getattr(part, name) for part in field.metadata for name in _LIMITS if hasattr(part, name)}
    if "ge" in found:
        found.pop("gt", None)
    return " ".join([kind, *(f"{_LIMITS[name]} {found[name]:.12g}" for name in _LIMITS if name in found)])
