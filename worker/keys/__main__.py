"""`python -m worker.keys generate|rotate|prune`: the keys that callers' keys are sealed with.

Prints the kids, never a key. Exit codes: 0 done; 1 nothing was changed; 2 usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from joserfc.jwk import OKPKey

from shared.key_file import KeyFile, KeyFileRefused
from worker.keys.key_files import new_key, write_keys

_DONE, _UNCHANGED = 0, 1


class _Refused(Exception):
    """Nothing was changed; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """One command, and its exit code."""
    arguments = _parse(argv)
    try:
        keys = _keys(arguments)
        write_keys(keys, arguments.private, arguments.public)
    except (_Refused, KeyFileRefused) as refused:
        print(refused, file=sys.stderr)
        return _UNCHANGED
    except OSError as fault:
        print(f"{fault.filename}: {fault.strerror}", file=sys.stderr)
        return _UNCHANGED
    for number, key in enumerate(keys):
        print(f"{key.kid}  {'opens' if number else 'seals and opens'}")
    print(f"private (workers, WORKER_SEALING_KEYS_FILE): {arguments.private}")
    print(f"public (gateways, LLM_SEALING_JWKS_FILE): {arguments.public}")
    return _DONE


def _keys(arguments: argparse.Namespace) -> list[OKPKey]:
    match arguments.command:
        case "generate":
            _check_absent(arguments.private, arguments.public)
            return [new_key()]
        case "rotate":
            return [new_key(), *_existing(arguments.private)]
        case _:
            return _pruned(_existing(arguments.private), arguments.keep)


def _existing(private: Path) -> list[OKPKey]:
    return list(KeyFile("--private", str(private), is_private=True).keys().values())


def _pruned(keys: list[OKPKey], keep: int) -> list[OKPKey]:
    if len(keys) <= keep:
        raise _Refused(f"nothing to drop: there are {len(keys)} keys, and --keep is {keep}")
    return keys[:keep]


def _check_absent(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise _Refused(f"{path} is there already: its keys would be lost; rotate adds one to them")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.keys", description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    told = {
        "generate": "the first key pair, into two new files",
        "rotate": "a new current key; those from before still open",
        "prune": "drop all but the newest: what is sealed to the others can no longer be opened",
    }
    for name, meaning in told.items():
        command = commands.add_parser(name, help=meaning, description=meaning)
        command.add_argument("--private", type=Path, default=Path("sealing-keys.json"), metavar="FILE")
        command.add_argument("--public", type=Path, default=Path("sealing-jwks.json"), metavar="FILE")
        if name == "prune":
            command.add_argument("--keep", type=_positive, required=True, metavar="N", help="how many stay")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of keys; allowed: 1 and more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
