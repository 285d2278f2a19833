"""Why Redis lets us not in, or not far enough, asked at start. One that is away refuses nobody."""

import asyncio
import secrets
import ssl

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from shared.adapters.redis_cluster_batches import RedisClusterBatches
from shared.adapters.redis_script import REDIS_FAULTS, RedisScript

_CHECKED = "llm:rights:"


class RedisRefused(Exception):
    """Trying again would not help; the message is one line for who runs the service."""


async def expect_welcome(
    client: Redis | RedisClusterBatches, listener: Redis, timeout_seconds: float
) -> None:
    """Raises `RedisRefused`."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await _expect_rights(client)
            await _expect_channel(listener)
    except AuthenticationError as fault:
        raise RedisRefused(f"Redis refuses the user or password in REDIS_URL: {fault}") from fault
    except NoPermissionError as fault:
        raise RedisRefused(f"Redis gives the user in REDIS_URL too few rights: {fault}") from fault
    except REDIS_FAULTS as fault:
        if (why := _tls_refusal(fault)) is not None:
            raise RedisRefused(f"Redis {why}") from fault


async def _expect_rights(client: Redis | RedisClusterBatches) -> None:
    key = f"{_CHECKED}{secrets.token_hex(8)}"
    missing = await client.eval(RedisScript("check_rights").text, 1, key, key)
    if missing:
        names = ", ".join(name.decode() for name in missing)
        raise RedisRefused(f"Redis gives the user in REDIS_URL no {names} on llm:*")


async def _expect_channel(listener: Redis) -> None:
    async with listener.pubsub() as subscription:
        await subscription.subscribe(f"{_CHECKED}{secrets.token_hex(8)}")
        await subscription.get_message(timeout=None)


def _tls_refusal(fault: BaseException | None) -> str | None:
    """In the fault, or in what caused it."""
    while fault is not None:
        match fault:
            case ssl.SSLCertVerificationError():
                return f"shows a certificate that is not trusted (REDIS_SSL_CA_FILE): {fault.verify_message}"
            case ssl.SSLError() if "ALERT" in (fault.reason or ""):
                return f"refuses the certificate in REDIS_SSL_CERT_FILE, or wants one: {fault.reason}"
        fault = fault.__cause__ or fault.__context__
    return None
