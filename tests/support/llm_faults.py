"""Faults of a provider, made anew each time they are raised."""

from shared.domain.errors import ErrorCode
from worker.ports import LLMError, OutcomeUnknown, Unavailable


def away() -> LLMError:
    return Unavailable(ErrorCode.UPSTREAM_UNAVAILABLE, "away")


def silence() -> LLMError:
    return OutcomeUnknown(ErrorCode.UPSTREAM_TIMEOUT, "silence")
