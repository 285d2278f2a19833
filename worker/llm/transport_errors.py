"""What a connection that failed means."""

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from shared.domain.errors import ErrorCode
from worker.ports import LLMError, OutcomeUnknown, Unavailable

_NOTHING_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)


def transport_error(fault: Exception) -> LLMError:
    """The error for no answer at all, or half of one; only what was not sent cannot be charged."""
    name = type(fault).__name__
    if isinstance(fault, _NOTHING_SENT):
        away = Unavailable(ErrorCode.UPSTREAM_UNAVAILABLE, f"No connection: {name}")
        away.blames = "provider"
        return away
    if isinstance(fault, TimeoutError):
        return OutcomeUnknown(ErrorCode.UPSTREAM_TIMEOUT, "The provider went silent during the call")
    if isinstance(fault, aiohttp.ClientResponseError) or isinstance(fault.__cause__, ContentEncodingError):
        return OutcomeUnknown(ErrorCode.UPSTREAM_INVALID_RESPONSE, f"The answer is not HTTP: {name}")
    return OutcomeUnknown(ErrorCode.UPSTREAM_UNAVAILABLE, f"The connection broke during the call: {name}")
