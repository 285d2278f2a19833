"""Which process this is, for people who look for what it did."""

import os
import socket
from functools import cache


@cache
def replica_name() -> str:
    """Host (a pod's or container's name) and process id: no two processes of a deployment share it."""
    return f"{socket.gethostname()}-{os.getpid()}"
