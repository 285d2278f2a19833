"""What workers say of their load, in Redis: one hash a topic, a field a worker, forgotten by itself."""

from pydantic import ValidationError

from shared.adapters.redis_cluster_batches import AnyBatches
from shared.adapters.redis_script import RedisScript
from shared.domain.queue_load import QueueLoad, WorkerLoad, load_of

_FRESH_SECONDS = 5.0


class RedisQueueLoads:
    """Raises `StoreUnavailable`."""

    def __init__(self, batches: AnyBatches, topic: str, fresh_seconds: float = _FRESH_SECONDS) -> None:
        self._batches = batches
        self._key = f"llm:load:{topic}"
        self._fresh_ms = round(fresh_seconds * 1000)
        self._tell = RedisScript("load_tell")
        self._read = RedisScript("load_read")

    async def tell(self, worker: str, load: WorkerLoad) -> None:
        """Instead of what this worker said before."""
        await self._tell.run(self._batches, [self._key], [worker, load.model_dump_json(), self._fresh_ms])

    async def read(self) -> QueueLoad | None:
        """Of all workers that spoke lately; None if none did."""
        told = await self._read.run(self._batches, [self._key], [self._fresh_ms])
        return load_of(load for text in told if (load := _parsed(text)) is not None)


def _parsed(text: bytes) -> WorkerLoad | None:
    try:
        return WorkerLoad.model_validate_json(text)
    except ValidationError:
        return None  # of a newer version
