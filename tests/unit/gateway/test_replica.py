"""What a gateway says of itself."""

from datetime import UTC, datetime, timedelta

from gateway.dependencies import DependencyWatch
from gateway.replica import OwnReport
from gateway.settings import GatewaySettings
from gateway.waits import Waits
from shared.adapters.memory_result_store import MemoryResultStore
from shared.settings import load_settings
from tests.unit.gateway.gateway_in_process import KeptJobs, gateway_in_process

SETTINGS = load_settings(GatewaySettings, _env_file=None, llm_max_waiters=7)


class Queue(KeptJobs):
    """One that may be away."""

    is_away = False

    async def is_available(self) -> bool:
        return not self.is_away


async def test_it_tells_when_kafka_is_away_and_when_it_leaves() -> None:
    queue, waits = Queue(), Waits(7)
    watch = DependencyWatch(MemoryResultStore(timedelta(hours=1)), queue)
    report = OwnReport(SETTINGS, waits, watch, datetime.now(UTC), is_distributed=True)
    assert (report().kind, report().state, report().busy, report().room) == ("gateway", "well", 0, 7)
    queue.is_away = True
    await watch.look()
    assert report().state == "no kafka"
    waits.drain()
    assert report().state == "leaving"


async def test_one_process_knows_no_kafka() -> None:
    queue = Queue()
    queue.is_away = True
    watch = DependencyWatch(MemoryResultStore(timedelta(hours=1)), queue)
    await watch.look()
    report = OwnReport(SETTINGS, Waits(7), watch, datetime.now(UTC), is_distributed=False)
    assert (report().kind, report().state) == ("one process", "well")


async def test_it_is_among_the_replicas_that_stats_tells() -> None:
    async with gateway_in_process() as gateway:
        told = (await gateway.http.get("/stats")).json()
        while not told["replicas"]:
            told = (await gateway.http.get("/stats")).json()
    [replica] = told["replicas"]
    assert (replica["kind"], replica["state"]) == ("one process", "well")
    assert (told["verdict"]["state"], told["dependencies"]) == ("well", {"redis": True, "kafka": None})
