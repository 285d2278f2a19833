"""A batch of records, as a producer that was written by hand takes it."""

import asyncio


class FakeBatch:
    """Holds so many records."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self.records: list[tuple[bytes | None, bytes]] = []

    def append(self, *, key: bytes | None, value: bytes, timestamp: int | None) -> object | None:
        if len(self.records) >= self._most:
            return None
        self.records.append((key, value))
        return (len(self.records), timestamp)


def acknowledged() -> asyncio.Future[object]:
    """Nothing is left to wait for."""
    ack: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    ack.set_result(None)
    return ack
