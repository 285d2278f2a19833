"""A Lua step: atomic, one round trip, and sent whole only to a server that does not know it yet."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from shared.adapters.redis_cluster_batches import AnyBatches
from shared.fault_text import describe
from shared.ports import StoreUnavailable

REDIS_FAULTS = (RedisError, OSError, TimeoutError)
_SCRIPTS = Path(__file__).parent / "redis_scripts"


class RedisScript:
    """One file, or several one after the other."""

    def __init__(self, *names: str) -> None:
        self.text = "\n".join((_SCRIPTS / f"{name}.lua").read_text() for name in names)
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so

    async def run(self, batches: AnyBatches, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The script's reply; `StoreUnavailable` if none comes."""
        keys_and_arguments = (len(keys), *keys, *arguments)
        with store_faults():
            try:
                return await batches.call("EVALSHA", self.sha, *keys_and_arguments)
            except NoScriptError:  # the first call, or a store that was restarted
                return await batches.call("EVAL", self.text, *keys_and_arguments)


@contextlib.contextmanager
def store_faults() -> Iterator[None]:
    """What Redis and its client raise, as the port's error."""
    try:
        yield
    except REDIS_FAULTS as fault:
        raise StoreUnavailable(describe(fault)) from fault
