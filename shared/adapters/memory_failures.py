"""The last failures of each owner, in one process without Redis."""

from collections import OrderedDict, deque
from collections.abc import Sequence

from shared.domain.failed_job import MOST_KEPT, FailedJob, latest_first
from shared.domain.result import Failed

_MOST_OWNERS = 1_000


class MemoryFailures:
    """Owners of whom nothing has failed for longest are forgotten first."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[FailedJob]] = OrderedDict()

    def add(self, owner: str, result: Failed) -> None:
        self._by_owner.setdefault(owner, deque(maxlen=MOST_KEPT)).append(FailedJob.of(result))
        self._by_owner.move_to_end(owner)
        if len(self._by_owner) > _MOST_OWNERS:
            self._by_owner.popitem(last=False)

    def of(self, owner: str) -> Sequence[FailedJob]:
        return latest_first(self._by_owner.get(owner, ()))
