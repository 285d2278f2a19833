"""`python -m worker.find ID`: the whole life of one request.

Exit codes: 0 found; 1 nothing found, or a place could not be asked; 2 usage.
"""

import argparse
import asyncio
import json
import logging
import re
import sys
from collections.abc import Sequence
from uuid import UUID

from aiokafka.errors import KafkaError
from loguru import logger

from shared.domain.job import OWNER_RULE, is_owner
from shared.fault_text import describe
from shared.settings import load_settings
from worker.dead_letters.arguments import typed
from worker.dead_letters.progress import Progress
from worker.dead_letters.selection import parse_instant
from worker.find.search import Story, Wanted, find, request_ids_of
from worker.find.topics import Read
from worker.settings import WorkerSettings

FOUND, NOT_ALL = 0, 1
_WORTH_SHOWING = 20_000


def main() -> int:
    """Look, and say what there is."""
    arguments = _arguments(sys.argv[1:])
    settings = load_settings(WorkerSettings)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says, our one line says
    logger.remove()
    try:
        codes = [_tell(request_id, arguments, settings) for request_id in _ids(arguments, settings)]
    except (KafkaError, TimeoutError, OSError) as fault:
        _note(f"Kafka at {settings.kafka_bootstrap_servers}: {describe(fault)}")
        return NOT_ALL
    if not codes:
        print(f"no record has the trace {arguments.trace}")
    return max(codes, default=NOT_ALL)


def _ids(arguments: argparse.Namespace, settings: WorkerSettings) -> list[str]:
    if arguments.trace is None:
        return [arguments.request_id]
    return asyncio.run(request_ids_of(arguments.trace, settings, arguments.since, _progress))


def _tell(request_id: str, arguments: argparse.Namespace, settings: WorkerSettings) -> int:
    wanted = Wanted(request_id, arguments.owner, arguments.since, arguments.until)
    story = asyncio.run(find(wanted, settings, _note, _progress))
    for line in [_json(story)] if arguments.json else _lines(story):
        print(line)
    if not story.entries and not settings.kafka_enabled:
        _note("The topics were not asked: KAFKA_ENABLED is not true here.")
    return FOUND if story.is_whole and not story.is_empty else NOT_ALL


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.find",
        description="Everything that topics, event files and Redis say of one request, without its content. "
        "Addresses come from the environment and .env, as for the worker.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("request_id", nargs="?", type=typed(_request_id), metavar="ID")
    what.add_argument(
        "--trace",
        type=typed(_trace_id),
        metavar="TRACE_ID",
        help="every request of that trace, by the records",
    )
    parser.add_argument("--owner", type=typed(_owner), metavar="NAME", help="the client whose id it is")
    for name, meaning in (("--since", "not before"), ("--until", "before")):
        parser.add_argument(
            name,
            type=typed(parse_instant),
            metavar="TIME",
            help=f"what was written {meaning} that: RFC 3339, or an age like 2h; default: around when it "
            "ran, as the store says, else as long as results are kept",
        )
    parser.add_argument("--json", action="store_true", help="a JSON object a request")
    return parser.parse_args(argv)


def _request_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError(f"{text!r} is no request id; allowed: a UUID") from None


def _trace_id(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{32}", text):
        raise ValueError(f"{text!r} is no trace id; allowed: 32 of 0-9 and a-f")
    return text


def _owner(text: str) -> str:
    if not is_owner(text):
        raise ValueError(f"{text!r} is no client's name; allowed: {OWNER_RULE}")
    return text


def _lines(story: Story) -> list[str]:
    if story.is_empty:
        return [f"nothing is known of {story.wanted.request_id}"]
    lines = [f"{story.wanted.request_id}", *(entry.line() for entry in story.entries)]
    for job in story.stored:
        facts = "  ".join(f"{name}={value}" for name, value in job.facts.items() if value is not None)
        lines.append(f"{'now':<24}  {'stored':<13}  {f'Redis, of {job.job_id.owner}':<28}  {facts}")
    return lines if story.stored else [*lines, "now: the store holds nothing of it"]


def _json(story: Story) -> str:
    entries = [
        {
            "time": each.time,
            "what": each.what,
            "where": each.where,
            "owner": each.owner,
            "facts": each.facts,
        }
        for each in story.entries
    ]
    stored = [{"owner": job.job_id.owner, **job.facts} for job in story.stored]
    told = {"request_id": story.wanted.request_id, "entries": entries, "stored": stored}
    return json.dumps(told | {"is_whole": story.is_whole})


def _progress(total: int) -> Read:
    """Only for what takes long enough to wonder."""
    if total < _WORTH_SHOWING:
        return lambda _: None
    bar = Progress(total, sys.stderr)

    def read(count: int) -> None:
        bar.step(count)
        if bar.is_done:
            bar.clear()

    return read


def _note(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
