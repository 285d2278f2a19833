"""The span of every record, from when it is taken to when it is finished."""

from shared.domain.priority import lane_name
from shared.telemetry.tracing import Attributes, Tracing
from worker.dispatcher import ONE_LANE, Handle, Lanes
from worker.ports import Record


class TracedRecords:
    """A dispatcher's `Handle` around another: the producer's trace goes on, or a new one begins."""

    def __init__(
        self, handle: Handle, tracing: Tracing, consumer_group: str, lanes: Lanes = ONE_LANE
    ) -> None:
        self._handle = handle
        self._tracing = tracing
        self._consumer_group = consumer_group
        self._lanes = lanes

    async def handle(self, record: Record) -> float | None:
        attributes: Attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.consumer.group.name": lane_name(self._consumer_group, self._lanes.of(record.topic)),
        }
        name = f"process {record.topic}"
        with self._tracing.continued(_carried(record), name, "consumer", attributes) as span:
            look_again_seconds = await self._handle(record)
            if look_again_seconds is not None:
                span.forget()
            return look_again_seconds


def _carried(record: Record) -> str | None:
    """The last one counts, as for every header."""
    values = [value for name, value in record.headers if name == "traceparent" and value is not None]
    return values[-1].decode("latin-1") if values else None
