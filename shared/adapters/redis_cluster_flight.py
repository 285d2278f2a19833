"""Leading a call where the leader's job is on another master than the question."""

from collections.abc import Sequence
from typing import Any

from shared.adapters.redis_cluster_batches import RedisClusterBatches
from shared.adapters.redis_script import RedisScript

_ENTER = RedisScript("enter_flight_apart")
_IS_LEASED = RedisScript("is_leased")


async def enter_flight_apart(
    batches: RedisClusterBatches, keys: Sequence[str], arguments: Sequence[Any], job: str
) -> Any:
    """A leader that is found dead is replaced only while it leads: of those who found it, one succeeds."""
    reply = await _ENTER.run(batches, keys, [*arguments, job, ""])
    if reply[0] != b"look":
        return reply
    leader, token = reply[1].decode(), reply[2]
    if await _IS_LEASED.run(batches, [leader], [token]):
        return [b"following"]
    reply = await _ENTER.run(batches, keys, [*arguments, job, token])
    return [b"following"] if reply[0] == b"look" else reply
