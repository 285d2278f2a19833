"""Loguru set up once a process: one JSON line an event, readable colours on a terminal."""

import sys
from typing import TYPE_CHECKING

import orjson
from loguru import logger

from shared.telemetry.redaction import without_keys

if TYPE_CHECKING:
    from loguru import Message

_TERMINAL_FORMAT = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> <bold>{message}</bold> {extra}"
)


def configure_logging(service: str, level: str, *, is_debug: bool) -> None:
    """Log to standard error. The message of every line is an event word; the facts are bound beside it."""
    logger.remove()
    logger.configure(extra={"service": service})
    if is_debug or sys.stderr.isatty():
        # diagnose would print the values of variables, and one of them is a key.
        logger.add(
            _write_text,
            level=level,
            format=_TERMINAL_FORMAT,
            colorize=sys.stderr.isatty(),
            diagnose=False,
            backtrace=False,
        )
    else:
        logger.add(_write_json, level=level, format="{message}", diagnose=False, backtrace=False)


def _write_text(message: "Message") -> None:
    sys.stderr.write(without_keys(message))


def _write_json(message: "Message") -> None:
    record = message.record
    line = {
        "event": record["message"],
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        **record["extra"],
    }
    if record["exception"] is not None:
        line["exception"] = str(message)
    sys.stderr.write(without_keys(orjson.dumps(line, default=str).decode()) + "\n")
