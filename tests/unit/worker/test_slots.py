"""So many work at once; who waits lends its slot, and whoever is cut off meanwhile takes none along."""

import asyncio

import pytest

from worker.slots import Slots


class Scene:
    def __init__(self, most: int) -> None:
        self.slots = Slots(most)
        self.working = 0

    async def work(self, until: asyncio.Event, lent_until: asyncio.Event | None = None) -> None:
        await self.slots.acquire("normal")
        try:
            if lent_until is not None:
                async with self.slots.lent("normal"):
                    await lent_until.wait()
            self.working += 1
            await until.wait()
            self.working -= 1
        finally:
            self.slots.release()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_work_than_there_are_slots() -> None:
    scene, end = Scene(2), asyncio.Event()
    tasks = [asyncio.ensure_future(scene.work(end)) for _ in range(5)]
    await settle()
    assert scene.working == 2
    end.set()
    await asyncio.gather(*tasks)


async def test_a_lent_slot_is_somebody_elses_until_it_is_free_again() -> None:
    scene, end, back = Scene(1), asyncio.Event(), asyncio.Event()
    lender = asyncio.ensure_future(scene.work(asyncio.Event(), back))
    await settle()
    other = asyncio.ensure_future(scene.work(end))
    await settle()
    assert scene.working == 1
    # When the lender wants to go on, it waits for its turn
    back.set()
    await settle()
    assert (scene.working, other.done()) == (1, False)
    end.set()
    await settle()
    assert (scene.working, other.done()) == (1, True)
    lender.cancel()
    await asyncio.wait([lender])


@pytest.mark.parametrize("wants_it_back", [False, True])
async def test_who_is_cut_off_while_its_slot_is_lent_gives_none_back(wants_it_back: bool) -> None:
    scene, end, back = Scene(1), asyncio.Event(), asyncio.Event()
    lender = asyncio.ensure_future(scene.work(asyncio.Event(), back))
    await settle()
    tasks = [asyncio.ensure_future(scene.work(end)) for _ in range(3)]
    await settle()
    if wants_it_back:
        back.set()
        await settle()
    lender.cancel()
    await asyncio.wait([lender])
    await settle()
    assert scene.working == 1
    end.set()
    await asyncio.gather(*tasks)
    # And none is missing afterwards
    await asyncio.wait_for(scene.work(end), 1)
