"""HTTP as bytes on a socket, for clients that behave as no library does."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import orjson


class RawConnection:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, object]]:
        """Status and JSON body of the next answer."""
        head, _, self._received = self._until(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(self._received) < length:
            self._received += self._more()
        body, self._received = self._received[:length], self._received[length:]
        return int(head.split()[1]), orjson.loads(body)

    def is_closed(self) -> bool:
        """Whether the other side hangs up, which may take until the socket's timeout."""
        return self.socket.recv(1) == b""

    def _until(self, mark: bytes) -> tuple[bytes, bytes, bytes]:
        while mark not in self._received:
            self._received += self._more()
        return self._received.partition(mark)

    def _more(self) -> bytes:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError(f"closed after {self._received[:200]!r}")
        return data


@contextmanager
def connected(url: str, timeout_seconds: float = 30) -> Iterator[RawConnection]:
    """A connection to the server of `url`."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout_seconds) as connection:
        yield RawConnection(connection)


def post_head(body_bytes: int, *headers: str) -> bytes:
    """Everything of a `POST /invoke` but its body."""
    lines = ["POST /invoke HTTP/1.1", "host: test", f"content-length: {body_bytes}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
