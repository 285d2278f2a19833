"""What the replicas say of themselves, in Redis: one hash a request topic, a field a replica."""

from pydantic import ValidationError

from shared.adapters.redis_cluster_batches import AnyBatches
from shared.adapters.redis_script import RedisScript, store_faults
from shared.domain.replica import REMEMBERED_SECONDS, Replica, ReplicaReport


class RedisReplicas:
    """`Replicas` over Redis; ages are by its clock."""

    def __init__(
        self, batches: AnyBatches, topic: str, remembered_seconds: float = REMEMBERED_SECONDS
    ) -> None:
        self._batches = batches
        self._key = f"llm:replicas:{topic}"
        self._remembered_ms = round(remembered_seconds * 1000)
        self._tell = RedisScript("load_tell")  # a field with its instant, whatever it says
        self._read = RedisScript("replicas_read")

    async def tell(self, replica: str, report: ReplicaReport) -> None:
        arguments = [replica, report.model_dump_json(), self._remembered_ms]
        await self._tell.run(self._batches, [self._key], arguments)

    async def leave(self, replica: str) -> None:
        with store_faults():
            await self._batches.call("HDEL", self._key, replica)

    async def read(self) -> list[Replica]:
        told = await self._read.run(self._batches, [self._key], [self._remembered_ms])
        return [
            Replica(report, age_ms / 1000) for age_ms, text in told if (report := _parsed(text)) is not None
        ]


def _parsed(text: bytes) -> ReplicaReport | None:
    try:
        return ReplicaReport.model_validate_json(text)
    except ValidationError:
        return None  # of a newer version
