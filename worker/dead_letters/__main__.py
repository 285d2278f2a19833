"""`python -m worker.dead_letters list|show|redrive`.

Exit codes: 0 all done; 1 nothing matched, or something was left out or failed; 2 usage.
"""

import asyncio
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Coroutine
from typing import Any

from aiokafka.errors import KafkaError

from shared.adapters.kafka_refusal import KafkaRefused
from shared.fault_text import describe
from shared.settings import load_settings
from worker.dead_letters.arguments import parse_arguments
from worker.dead_letters.commands import (
    NOT_ALL,
    OK,
    USAGE,
    WrongUse,
    carry_out,
    list_letters,
    plan_redrive,
    show_letter,
)
from worker.settings import WorkerSettings

_INTERRUPTED = 130


def main() -> int:
    """One command, and its exit code."""
    arguments = parse_arguments(sys.argv[1:])
    settings = load_settings(WorkerSettings)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says, our one line says
    try:
        return _run(arguments, settings)
    except WrongUse as wrong:
        note(str(wrong))
        return USAGE
    except BrokenPipeError:  # who read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_ALL
    except KafkaRefused as refused:
        note(str(refused))
        return NOT_ALL
    except (KafkaError, OSError) as fault:
        note(f"Kafka at {settings.kafka_bootstrap_servers}: {describe(fault)}")
        return NOT_ALL
    except KeyboardInterrupt:
        note("interrupted; what was said to be redriven is, and is marked")
        return _INTERRUPTED


def _run(arguments: Namespace, settings: WorkerSettings) -> int:
    match arguments.command:
        case "list":
            return _wait(list_letters(arguments, settings, print, note))
        case "show":
            return _wait(show_letter(arguments, settings, print, note))
        case _:
            return _redrive(arguments, settings)


def _redrive(arguments: Namespace, settings: WorkerSettings) -> int:
    plan = asyncio.run(plan_redrive(arguments, settings, print))
    for line in plan.lines():
        print(line)
    if not plan.jobs:
        return NOT_ALL
    if plan.jobs > arguments.max_jobs:
        note(f"nothing sent: {plan.jobs} jobs are more than --max-jobs {arguments.max_jobs}")
        return NOT_ALL
    if arguments.dry_run:
        print("dry run: nothing sent")
        return OK if plan.is_whole else NOT_ALL
    if not arguments.yes and not _confirm(plan.jobs, arguments.to or "where they came from"):
        note("nothing sent")
        return NOT_ALL
    return _wait(carry_out(plan, arguments, settings, print, note))


def _confirm(jobs: int, topic: str) -> bool:
    if not sys.stdin.isatty():
        raise WrongUse("nothing sent: without a terminal to ask at, redrive wants --yes")
    note(f"redrive {jobs} dead letters to {topic}? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _wait(command: Coroutine[Any, Any, int]) -> int:
    code = asyncio.run(command)
    sys.stdout.flush()
    return code


def note(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
