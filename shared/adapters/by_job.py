"""Who in this process is there for which job."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from shared.domain.job import JobId

Item = TypeVar("Item")


class ByJob(Generic[Item]):
    """Items under their job while their blocks run; a job without any takes no room."""

    def __init__(self) -> None:
        self._items: dict[JobId, list[Item]] = {}

    @contextmanager
    def open(self, job_id: JobId, make: Callable[[], Item]) -> Iterator[Item]:
        """A new item, made when the block begins."""
        item = make()
        items = self._items.setdefault(job_id, [])
        items.append(item)
        try:
            yield item
        finally:
            items.remove(item)
            if not items and self._items.get(job_id) is items:
                del self._items[job_id]

    def of(self, job_id: JobId) -> Sequence[Item]:
        return self._items.get(job_id, ())

    def all(self) -> Iterator[tuple[JobId, Item]]:
        return ((job_id, item) for job_id, items in self._items.items() for item in items)

    def __contains__(self, job_id: JobId) -> bool:
        return job_id in self._items
