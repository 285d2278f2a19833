"""A peer of this run: started once, on the service's core, and stopped while it is not its turn."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from uuid import uuid4

import psutil

from tests.bench.asks import chat_completions
from tests.bench.cores import SERVICE_CORES, CpuMeter, pin
from tests.bench.load import Load, running_load
from tests.bench.peers.known import PEERS, Command, Peer, Place
from tests.bench.servers import HOST, Brokers, without_own_settings
from tests.bench.throughput import Plan, Sample, Say, sample_of
from tests.support.processes import Child, free_port, start, wait_for_line, wait_until

PEER = "peer"
_READY_SECONDS = 120
_ASK_SECONDS = 10
_WARM_UP_CONNECTIONS, _WARM_UP_REQUESTS, _WARM_UP_SECONDS = 16, 500, 10


@dataclass(frozen=True)
class RunningPeer:
    peer: Peer
    port: int
    headers: tuple[str, ...]
    children: tuple[Child, ...]

    @property
    def pids(self) -> list[int]:
        """Of all its processes, those that it started too."""
        roots = [psutil.Process(child.pid) for child in self.children]
        return [process.pid for root in roots for process in (root, *root.children(recursive=True))]

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        for child in self.children:
            child.resume()
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        """Silent, so that it takes nothing from the others; a member of a Kafka group would be thrown out."""
        for child in self.children if self.peer.can_rest else ():
            child.pause()


def installed_peers() -> list[str]:
    return [name for name, peer in PEERS.items() if peer.is_installed()]


@contextmanager
def running_peers(names: Iterable[str], brokers: Brokers, provider_url: str) -> Iterator[list[RunningPeer]]:
    with ExitStack() as stack:
        running = []
        for name in names:
            running.append(stack.enter_context(_running(PEERS[name], brokers, provider_url)))
            running[-1].rest()
        yield running


def measure_peer(
    running: RunningPeer, others: Mapping[str, list[int]], plan: Plan, number: int, say: Say
) -> list[Sample]:
    """As many at once as ours were asked `/invoke`; `others`: whom else the bench started."""
    samples = []
    with running.in_turn():
        meter = CpuMeter({**others, PEER: running.pids})
        for point in plan.peer_points():
            ask = chat_completions(headers=running.headers)
            load = Load(running.port, ask, point.connections, plan.warm_up_seconds, plan.seconds)
            samples.append(sample_of(point.name, load, meter, (PEER,), running.peer.name))
            say(f"round {number}: {samples[-1]}")
    return samples


@contextmanager
def _running(peer: Peer, brokers: Brokers, provider_url: str) -> Iterator[RunningPeer]:
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as name, ExitStack() as stack:
        place = Place(free_port(), provider_url, Path(name), brokers, f"sketch-{uuid4().hex[:8]}")
        children = []
        for number, command in enumerate(peer.commands(place)):
            child = stack.enter_context(_start(command, place.folder, f"{number}.log"))
            pin([child.pid], SERVICE_CORES)
            if command.ready_line:
                wait_for_line(child, command.ready_line, _READY_SECONDS)
            children.append(child)
        running = RunningPeer(peer, place.port, peer.headers(place), tuple(children))
        wait_until(children[-1], lambda: _answers(running), f"an answer of {peer.name}", _READY_SECONDS)
        pin(running.pids, SERVICE_CORES)
        _warm_up(running)
        try:
            yield running
        finally:
            for child in children:
                child.resume()


def _start(command: Command, folder: Path, log: str) -> Child:
    environment = without_own_settings(os.environ)
    # With it, a peer that imports while it runs compiles again and again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment |= {"DO_NOT_TRACK": "true", "NODE_ENV": "production", **command.environment}
    return start(command.words, log_path=folder / log, env=environment, cwd=folder)


def _warm_up(running: RunningPeer) -> None:
    """The first requests of some load the half of a library; that is not what a request costs."""
    ask = chat_completions(headers=running.headers)
    load = Load(running.port, ask, _WARM_UP_CONNECTIONS, 0, _WARM_UP_SECONDS, most_requests=_WARM_UP_REQUESTS)
    with running_load(load) as warming:
        warming.wait_until_measuring()
        warming.wait_until_measured()
        warming.outcome()


def _answers(running: RunningPeer) -> bool:
    ask = chat_completions()
    headers = dict(header.split(": ", 1) for header in running.headers) | {"content-type": "application/json"}
    connection = HTTPConnection(HOST, running.port, timeout=_ASK_SECONDS)
    try:
        connection.request("POST", ask.path, ask.body, headers)
        return connection.getresponse().status == 200
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()
