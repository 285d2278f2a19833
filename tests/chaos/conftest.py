"""What the campaigns of this folder run against: Apache Kafka or nothing."""

from pathlib import Path

import pytest

from tests.chaos.deployment import Surroundings
from tests.chaos.detour_kafka import find_detour_kafka
from tests.conftest import missing
from tests.support.availability import Unavailable
from tests.support.provider_process import ScriptedProvider
from tests.support.running import RunningServers
from tests.support.server import AnyKafka, AnyRedis


@pytest.fixture(scope="session")
def real_kafka(servers: RunningServers) -> AnyKafka:
    """What happens to a dead worker's partitions is told by the real group coordinator only."""
    try:
        return servers.get(find_detour_kafka)
    except Unavailable as reason:
        missing(str(reason))


@pytest.fixture
def surroundings(real_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider) -> Surroundings:
    return Surroundings(real_kafka, any_redis, provider)


@pytest.fixture
def log_folder(tmp_path: Path) -> Path:
    """The processes' logs; pytest keeps those of the last runs."""
    return tmp_path / "logs"
