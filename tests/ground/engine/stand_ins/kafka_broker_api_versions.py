#!/usr/bin/python3
"""Stands for the script of that name: asks for the versions (api key 18), and fails without an answer."""

import socket
import struct
import sys


def _ask(host: str, port: int) -> bytes:
    request = struct.pack(">hhih", 18, 0, 1, -1)
    with socket.create_connection((host, port), timeout=5) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        return broker.recv(4, socket.MSG_WAITALL)


if __name__ == "__main__":
    _, _, address = sys.argv
    name, _, number = address.partition(":")
    sys.exit(len(_ask(name, int(number))) != 4)
