"""Which keys share a slot, for ever: jobs that are stored must still be found."""

from uuid import UUID, uuid4

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from shared.adapters.redis_cluster_keys import SHARDS, parts, tagged, tags


def slots(*keys: str) -> set[int]:
    return {key_slot(key.encode()) for key in tagged(keys)}


def test_a_jobs_keys_and_its_sums_are_in_one_slot_whoever_asks_with_what() -> None:
    for _ in range(100):
        name = f"public:{uuid4()}"
        every = (f"llm:job:{name}", "llm:totals", f"llm:gone:{name}", "llm:sums:1764201600")
        alone = [slots(f"llm:{kind}:{name}") for kind in ("job", "gone", "stream")]
        assert [slots(*every)] * 3 == alone


def test_so_are_those_of_a_question_with_the_index() -> None:
    name = f"public:{'a' * 64}"
    assert len(slots("llm:cache", f"llm:cache:{name}", f"llm:flight:{name}", "llm:totals")) == 1


@pytest.mark.parametrize(
    "key", ["llm:limits:public", "llm:load:llm-requests", "llm:store:llm-results:restoring"]
)
def test_what_stands_alone_keeps_its_name(key: str) -> None:
    assert tagged((key,)) == (key,)


def test_a_name_that_came_from_the_store_is_left_as_it_is() -> None:
    [key] = tagged((f"llm:cache:public:{'a' * 64}",))
    assert tagged((key,)) == (key,)


def test_masters_share_shards_and_jobs_evenly() -> None:
    """As many as divide them, with slots as `redis-cli --cluster create` gives them."""
    for masters in (2, 3, 4, 8, 16):
        width = REDIS_CLUSTER_HASH_SLOTS / masters
        owners = [int(key_slot(tag.encode()) // width) for tag in tags()]
        counts = [owners.count(master) for master in range(masters)]
        assert max(counts) - min(counts) <= 1
    shards = [tagged((f"llm:job:public:{UUID(int=number)}",))[0].split(":")[1] for number in range(3200)]
    assert min(map(shards.count, set(shards))) > 100
    assert len(set(shards)) == SHARDS


def test_names_are_frozen() -> None:
    """Another order, number or tag would lose every stored job."""
    assert " ".join(tags()) == "10 3 61 43 11 2 60 42 12 1 63 41 13 0 62 40"
    assert tagged(("llm:job:public:00000000-0000-4000-8000-000000000000",)) == (
        "llm:{10}:job:public:00000000-0000-4000-8000-000000000000",
    )
    assert parts("llm:totals")[:2] == ["llm:{10}:totals", "llm:{3}:totals"]
