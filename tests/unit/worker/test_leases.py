"""A worker hears that a job which it runs is another's by now."""

from datetime import timedelta

from prometheus_client import REGISTRY

from shared.adapters.memory_result_store import MemoryResultStore
from shared.ports import Begun, Run
from tests.support.jobs import make_job
from worker.leases import Leases


def lost() -> float:
    return REGISTRY.get_sample_value("llm_leases_lost_total") or 0.0


async def test_a_lost_lease_is_counted_once() -> None:
    # Given a run whose lease has ended, so that another one has begun
    store, job, before = MemoryResultStore(timedelta(hours=1)), make_job(), lost()
    frozen, taking_over = (Run(job.id, token, job.fingerprint) for token in ("frozen", "next"))
    assert isinstance(await store.begin(frozen, 0.0, job.deadline), Begun)
    leases = Leases(store, 20)
    with leases.hold(frozen):
        await leases.renew()
        assert lost() == before
        assert isinstance(await store.begin(Run(job.id, "frozen", job.fingerprint), 0.0, job.deadline), Begun)
        assert isinstance(await store.begin(taking_over, 20, job.deadline), Begun)
        # When it is renewed, and again, then that is one loss
        await leases.renew()
        await leases.renew()
    assert lost() == before + 1
