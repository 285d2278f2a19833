"""Free ports that stay free while their server is down."""

import random
import socket

_given: set[int] = set()
_any = random.SystemRandom()


def free_port() -> int:
    """A port nobody listens on, below the range the kernel takes for outgoing connections.

    A port from that range (what binding to 0 gives) may be taken by any client in the moment between a
    broker's death and its restart, even by the client that reconnects to that very port: TCP lets it
    connect to itself.
    """
    while True:
        port = _any.randrange(12_000, 32_000)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
