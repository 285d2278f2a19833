"""The budget of CPU is made from a table of names, and adds up."""

from pathlib import Path

import aiokafka
import pytest

from tests.bench.servers import ROOT
from tests.bench.stage_names import StageOf, UnknownName, place_of
from tests.bench.stage_table import COLLECTOR, EVENT_LOOP, MEANINGS, OTHER, TABLES
from tests.bench.stages import count_stages, spread_over


@pytest.mark.parametrize("process", TABLES)
def test_every_name_of_the_table_exists(process: str) -> None:
    for names in TABLES[process].values():
        for name in names:
            place_of(name)


@pytest.mark.parametrize("process", TABLES)
def test_no_name_stands_twice_and_every_stage_is_explained(process: str) -> None:
    names = [name for names in TABLES[process].values() for name in names]

    assert len(names) == len(set(names))
    assert set(TABLES[process]) | {COLLECTOR, EVENT_LOOP, OTHER} <= set(MEANINGS)


@pytest.mark.parametrize(
    "name", ["gateway.nothing", "gateway.service:JobService.nothing", "gateway.service:x"]
)
def test_a_name_that_is_nobodys_is_said(name: str) -> None:
    with pytest.raises(UnknownName, match=name):
        place_of(name)


def test_the_innermost_named_frame_decides_and_the_narrowest_name_wins() -> None:
    service, routes = ROOT / "gateway" / "service.py", ROOT / "gateway" / "routes" / "invoke.py"
    stack = f"run (/usr/lib/asyncio.py:1);invoke ({routes}:30);JobService.submit ({service}:70)"
    collapsed = "\n".join(
        [
            f"{stack};execute (/elsewhere/redis.py:5) 7",
            f"{stack};JobService._wait ({service}:240);hold (/elsewhere/waits.py:5) 3",
            f"run (/usr/lib/asyncio.py:1);invoke ({routes}:30);_job ({routes}:60) 2",
            f"run (/usr/lib/asyncio.py:1);invoke ({routes}:30) 1",
            "run (/usr/lib/asyncio/runners.py:1);write (/usr/lib/asyncio/streams.py:9) 4",
            "run (/usr/lib/asyncio/runners.py:1) 5",
            "_worker (/usr/lib/concurrent/futures/thread.py:81);0x7f3f16 (/usr/lib/libc.so.6) 100",
            f"{stack};PyObject_Vectorcall (/usr/lib/libpython.so);gc_collect_main (/usr/lib/libpython.so) 6",
            "run (/usr/lib/asyncio/runners.py:1);poll (/u/loop.so);epoll_pwait (/usr/lib/libc.so) 90",
            "run (/usr/lib/asyncio/runners.py:1);uv__read (/u/loop.so:7) 8",
        ]
    )

    counts = count_stages(collapsed, StageOf(TABLES["gateway"]))

    assert counts == {
        "claim": 7,
        "notify": 3,
        "validate": 2,
        "http": 1,
        OTHER: 4,
        EVENT_LOOP: 13,
        COLLECTOR: 6,
    }


def test_a_library_is_known_through_a_link_to_its_environment(tmp_path: Path) -> None:
    """As the profiler sees it: the path by which the process was started."""
    (tmp_path / "link").symlink_to(Path(aiokafka.__file__).parent.parent)
    sender = tmp_path / "link" / "aiokafka" / "producer" / "sender.py"

    counts = count_stages(
        f"run (/usr/lib/asyncio.py:1);Sender.send ({sender}:7) 3", StageOf(TABLES["worker"])
    )

    assert counts == {"copy": 3}


def test_the_stages_add_up_to_the_cpu_and_the_dearest_comes_first() -> None:
    budget = spread_over({OTHER: 50, EVENT_LOOP: 10, "http": 10, "claim": 30}, cpu_us=500)

    assert list(budget.items()) == [("claim", 150), ("http", 50), (EVENT_LOOP, 50), (OTHER, 250)]
