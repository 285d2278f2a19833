"""The consumers of all lanes as one: for who commits, pauses, or asks how far they are."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from itertools import chain
from typing import Any

from aiokafka import TopicPartition

Offsets = Mapping[TopicPartition, int]


class LaneConsumers:
    """FastStream's subscribers by topic; the dispatcher's `Consumer`, the load report's `Positions`."""

    def __init__(self, subscribers: Mapping[str, Any]) -> None:
        self._subscribers = subscribers
        self._consumers: dict[str, Any] = {}

    async def start(self) -> None:
        """All at once: each waits for its group, an empty one for seconds."""
        await _all_of(subscriber.start() for subscriber in self._subscribers.values())
        self._consumers = {topic: each.consumer for topic, each in self._subscribers.items()}

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._of(partition).pause(partition)

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._of(partition).resume(partition)

    async def commit(self, offsets: Offsets) -> None:
        """Each lane to its own group; raises the first fault when all have been tried."""
        by_topic = _by_topic(offsets)
        commits = (self._consumers[topic].commit(own) for topic, own in by_topic.items())
        if len(by_topic) == 1:  # gathering makes tasks
            await next(commits)
        else:
            await _all_of(commits)

    def assignment(self) -> Iterable[TopicPartition]:
        return chain.from_iterable(each.assignment() for each in self._consumers.values())

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Offsets:
        own = _by_topic(dict.fromkeys(partitions, 0))
        asked = (self._consumers[topic].end_offsets(list(each)) for topic, each in own.items())
        return dict(chain.from_iterable(ends.items() for ends in await asyncio.gather(*asked)))

    async def position(self, partition: TopicPartition) -> int:
        position: int = await self._of(partition).position(partition)
        return position

    def _of(self, partition: TopicPartition) -> Any:
        return self._consumers[partition.topic]


async def _all_of(steps: Iterable[Awaitable[Any]]) -> None:
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _by_topic(offsets: Offsets) -> dict[str, dict[TopicPartition, int]]:
    found: dict[str, dict[TopicPartition, int]] = {}
    for partition, offset in offsets.items():
        found.setdefault(partition.topic, {})[partition] = offset
    return found
