"""The command line."""

import argparse
from collections.abc import Callable, Sequence
from typing import TypeVar

from worker.dead_letters.selection import Selection, parse_instant, parse_position, parse_reasons

T = TypeVar("T")

_DEFAULT_MAX_JOBS = 100


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, or exit code 2 with what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.dead_letters",
        description="Records that could not become a result: look at them and send them back. "
        "Brokers and topics come from the environment and .env, as for the worker.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_list(commands.add_parser("list", help="one line a letter, and a count by reason"))
    _add_show(commands.add_parser("show", help="everything of one letter, as JSON"))
    _add_redrive(commands.add_parser("redrive", help="send originals back to the topic they came from"))
    return parser.parse_args(argv)


def selection_of(arguments: argparse.Namespace) -> Selection:
    """The letters that the arguments mean."""
    return Selection(
        reasons=arguments.reason,
        since=arguments.since,
        until=arguments.until,
        positions=frozenset(getattr(arguments, "positions", ())),
    )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason", type=typed(parse_reasons), default=frozenset(), metavar="CODE[,CODE]", help="error codes"
    )
    for name, meaning in (("--since", "not before"), ("--until", "before")):
        parser.add_argument(
            name, type=typed(parse_instant), metavar="TIME", help=f"{meaning}: RFC 3339, or an age like 2h"
        )
    parser.add_argument("--limit", type=typed(_positive), metavar="N", help="at most so many letters")


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_filters(parser)
    parser.add_argument("--json", action="store_true", help="JSON lines; the count goes to stderr")


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("position", type=typed(parse_position), metavar="PARTITION/OFFSET")
    parser.add_argument("--value", action="store_true", help="the value too; it may hold a prompt")


def _add_redrive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("positions", nargs="*", type=typed(parse_position), metavar="PARTITION/OFFSET")
    _add_filters(parser)
    parser.add_argument("--to", metavar="TOPIC", help="send to this topic, wherever the letters came from")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal")
    parser.add_argument(
        "--max-jobs",
        type=typed(_positive),
        default=_DEFAULT_MAX_JOBS,
        metavar="N",
        help="send nothing if it were more (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-paid-again", action="store_true", help="also what may have been charged already"
    )
    parser.add_argument(
        "--new-ids", action="store_true", help="each job under a fresh request_id, with a fresh deadline"
    )
    parser.add_argument(
        "--fresh-deadlines", action="store_true", help="count each job's deadline from its redrive"
    )


def typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """argparse shows the message of its own error alone."""

    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from None

    return typed


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of letters; allowed: 1 and more")
    return int(text)
