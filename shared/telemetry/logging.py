"""Loguru set up once a process: one JSON line an event, readable colours on a terminal."""

import sys
import time
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson
from loguru import logger

from shared.telemetry.redaction import without_keys

if TYPE_CHECKING:
    from loguru import Message

_TERMINAL_FORMAT = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> <bold>{message}</bold> {extra}"
)
_INFO_NO = 20


class _Lines:
    """Who writes the lines of a request: nobody yet, this module, or loguru."""

    service: str | None = None


def configure_logging(service: str, level: str, *, is_debug: bool) -> None:
    """Log to standard error. The message of every line is an event word; the facts are bound beside it."""
    logger.remove()
    logger.configure(extra={"service": service})
    _Lines.service = None
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
        _Lines.service = service if logger.level(level).no <= _INFO_NO else None


def tell_request(event: str, **facts: object) -> None:
    """The info line of a request, of the same form: loguru's way to it takes three times as long."""
    if _Lines.service is None:
        logger.bind(**facts).info(event)
        return
    now = time.time()
    before, offset = _second(int(now))
    at = f"{before}.{int(now * 1000) % 1000:03d}{offset}"
    _write({"event": event, "time": at, "level": "INFO", "service": _Lines.service, **facts})


@lru_cache(2)
def _second(second: int) -> tuple[str, str]:
    """Local time up to the second, and its offset from UTC."""
    text = datetime.fromtimestamp(second).astimezone().isoformat()
    return text[:19], text[19:]


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
    _write(line)


def _write(line: dict[str, object]) -> None:
    sys.stderr.write(without_keys(orjson.dumps(line, default=str).decode()) + "\n")
