"""A queue a lane, taken from by weight."""

from collections import deque
from typing import Generic, TypeVar

from shared.domain.priority import Priority, Weights

Item = TypeVar("Item")


class WeightedQueue(Generic[Item]):
    """Stride scheduling: each taking moves its lane on by 1 / weight, and who is behind comes next.

    So lanes that wait are served by their weights, and none waits for ever. A lane that was empty begins
    where the others are: it has no turns saved up.
    """

    def __init__(self, weights: Weights) -> None:
        self._strides = {priority: 1 / weight for priority, weight in weights.items()}
        self._passes = dict.fromkeys(weights, 0.0)
        self._items: dict[Priority, deque[Item]] = {priority: deque() for priority in weights}
        self._now = 0.0
        self._length = 0

    def put(self, priority: Priority, item: Item) -> None:
        items = self._items[priority]
        if not items:
            self._passes[priority] = max(self._passes[priority], self._now)
        items.append(item)
        self._length += 1

    def take(self) -> Item:
        """Of the lane whose turn it is, what has waited longest; `IndexError` if nothing waits."""
        waiting = [priority for priority, items in self._items.items() if items]
        if not waiting:
            raise IndexError("nothing waits")
        priority = min(waiting, key=self._passes.__getitem__)
        self._now = self._passes[priority]
        self._passes[priority] += self._strides[priority]
        self._length -= 1
        return self._items[priority].popleft()

    def waiting(self, priority: Priority) -> int:
        return len(self._items[priority])

    def __len__(self) -> int:
        return self._length
