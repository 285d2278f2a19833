"""Where a request is looked for, and in which order, so that a large topic takes seconds."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from shared.domain.priority import lanes_of
from shared.fault_text import describe
from worker.find.entry import (
    FINISHED,
    REQUEST,
    Entry,
    from_event,
    from_letter,
    from_request,
    from_result,
    place_of,
    request_id_in,
)
from worker.find.event_files import entries_in_files
from worker.find.stored import StoredJob, stored_jobs
from worker.find.topics import Ranges, Read, Topics, Window, is_about, is_traced, open_topics
from worker.ports import Record
from worker.settings import WorkerSettings

_BEFORE, _AFTER = timedelta(minutes=1), timedelta(minutes=5)
"""Clocks differ, and facts come after what they tell."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose request, and when it may have been."""

    request_id: str
    owner: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(slots=True)
class Story:
    """Everything that is known."""

    wanted: Wanted
    entries: list[Entry] = field(default_factory=list)
    stored: Sequence[StoredJob] = ()
    is_whole: bool = True
    """False: a place could not be asked."""

    @property
    def is_empty(self) -> bool:
        return not self.entries and not self.stored


async def find(
    wanted: Wanted, settings: WorkerSettings, note: Note, progress: Callable[[int], Read]
) -> Story:
    """Ask every place that this configuration names. `progress`: makes one for so many offsets."""
    story = Story(wanted)
    if settings.redis_enabled:
        await _ask_store(story, settings, note)
    if settings.kafka_enabled:
        await _ask_topics(story, settings, note, progress)
    file, spool = Path(settings.llm_log_file), settings.event_spool_folder()
    story.entries += await asyncio.to_thread(entries_in_files, file, spool, wanted.request_id)
    if wanted.owner is not None:
        story.entries = [entry for entry in story.entries if entry.owner in (None, wanted.owner)]
    story.entries.sort(key=lambda entry: entry.order)
    return story


async def request_ids_of(
    trace_id: str, settings: WorkerSettings, since: datetime | None, progress: Callable[[int], Read]
) -> list[str]:
    """The requests of a trace, by their records; raises `KafkaError`."""
    window = Window(since or datetime.now(UTC) - settings.retention())
    async with open_topics(settings.kafka_bootstrap_servers, settings.kafka_security()) as topics:
        ranges = await topics.ranges(
            _partitions(topics, lanes_of(settings.kafka_request_topic).values()), window
        )
        read = progress(sum(len(offsets) for offsets in ranges.values()))
        records = await topics.find(is_traced(trace_id), ranges, read)
    return sorted({found for record in records if (found := request_id_in(record.value)) is not None})


async def _ask_store(story: Story, settings: WorkerSettings, note: Note) -> None:
    wanted, url = story.wanted, settings.redis_address()
    try:
        story.stored = await stored_jobs(url, wanted.request_id, wanted.owner)
    except (RedisError, OSError) as fault:
        note(f"Redis was not asked: {describe(fault)}")
        story.is_whole = False


async def _ask_topics(
    story: Story, settings: WorkerSettings, note: Note, progress: Callable[[int], Read]
) -> None:
    try:
        async with open_topics(settings.kafka_bootstrap_servers, settings.kafka_security()) as topics:
            await _TopicSearch(story, settings, topics, progress).run()
    except (KafkaError, TimeoutError, OSError) as fault:
        note(f"Kafka at {settings.kafka_bootstrap_servers}: {describe(fault)}")
        story.is_whole = False


class _TopicSearch:
    """The partition of the id first, in the time when it ran; more only if something is missing there."""

    def __init__(
        self, story: Story, settings: WorkerSettings, topics: Topics, progress: Callable[[int], Read]
    ) -> None:
        self._story = story
        self._topics = topics
        self._progress = progress
        self._window = _window(story, settings.retention())
        self._requests = tuple(lanes_of(settings.kafka_request_topic).values())
        self._facts = (settings.kafka_metrics_topic, settings.kafka_error_topic)
        self._results = settings.kafka_result_topic
        self._letters = settings.kafka_dead_letter_topic

    async def run(self) -> None:
        key = self._story.wanted.request_id.encode()
        own = [
            *(
                each
                for topic in (*self._requests, self._results)
                for each in self._topics.partition_of(topic, key)
            ),
            *(each for topic in self._facts for each in self._topics.fact_partition_of(topic, key)),
        ]
        letters = self._topics.partitions(self._letters)  # few, and those without a key are anywhere
        await self._look(await self._topics.ranges([*own, *letters], self._window))
        await self._look(self._named_records())
        if not self._has(REQUEST):
            requests = _partitions(self._topics, self._requests)
            others = [each for each in requests if each not in own]
            await self._look(await self._topics.ranges(others, self._window))
        if self._window.until is not None and self._story.wanted.until is None and not self._has(FINISHED):
            late = [partition for partition in own if partition.topic in self._facts]  # it was in a spool
            await self._look(await self._topics.ranges(late, Window(self._window.until)))

    async def _look(self, ranges: Ranges) -> None:
        read = self._progress(sum(len(offsets) for offsets in ranges.values()))
        known = {entry.where for entry in self._story.entries}
        for record in await self._topics.find(is_about(self._story.wanted.request_id), ranges, read):
            if place_of(record) not in known and (entry := self._entry(record)) is not None:
                self._story.entries.append(entry)

    def _entry(self, record: Record) -> Entry | None:
        if record.topic in self._requests:
            return from_request(record)
        if record.topic == self._results:
            return from_result(record)
        if record.topic == self._letters:
            return from_letter(record)
        return from_event(record.value or b"", place_of(record))

    def _named_records(self) -> Ranges:
        """Where facts say that the job came from."""
        places = {
            TopicPartition(entry.facts["topic"], entry.facts["partition"]): entry.facts["offset"]
            for entry in self._story.entries
            if entry.facts.get("topic") in self._requests
        }
        return {
            partition: range(offset, offset + 1)
            for partition, offset in places.items()
            if f"{partition.topic} {partition.partition}/{offset}"
            not in {entry.where for entry in self._story.entries}
        }

    def _has(self, what: str) -> bool:
        return any(entry.what == what for entry in self._story.entries)


def _partitions(topics: Topics, names: Iterable[str]) -> list[TopicPartition]:
    return [each for name in names for each in topics.partitions(name)]


def _window(story: Story, retention: timedelta) -> Window:
    """What was asked for, else what the store says, else as long as a result is kept."""
    wanted = story.wanted
    asked = min((job.asked_at for job in story.stored if job.asked_at is not None), default=None)
    ended = max((job.ended_at for job in story.stored if job.ended_at is not None), default=None)
    since = wanted.since or (asked - _BEFORE if asked is not None else datetime.now(UTC) - retention)
    until = wanted.until or (ended + _AFTER if ended is not None and wanted.since is None else None)
    return Window(since, until if until is None or until < datetime.now(UTC) else None)
