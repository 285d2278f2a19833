"""The one thing every broker and fake has in common: it is started, has a name, and is stopped."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Server(ABC):
    """`with` starts and stops it; `start` returns only once it answers."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the test report calls it, for example "Redis 7.0.15"."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """Ends it and removes its data; stopping twice is harmless."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class AnyKafka(Server):
    """A Kafka of whatever make."""

    @property
    @abstractmethod
    def bootstrap_servers(self) -> str: ...


class AnyRedis(Server):
    """A Redis or Valkey of whatever make."""

    @property
    @abstractmethod
    def url(self) -> str: ...
