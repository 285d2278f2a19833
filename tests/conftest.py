"""Brokers for every test: started when the first test asks, shared by all, stopped at the end.

A part this machine cannot run is a skip with its reason on a laptop, and a failure where `CI=true`.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.noida_kafka import NoidaKafka
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_servers import find_redis, find_valkey
from tests.support.running import RunningServers
from tests.support.secured_kafka import SecuredKafka
from tests.support.secured_redis import SecuredRedis
from tests.support.server import AnyKafka, AnyRedis, Server

S = TypeVar("S", bound=Server)
# What Hypothesis remembers from run to run stays out of the tree.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "hypothesis"))
# Hundreds of processes start here: each would compile the whole service anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
_SERVERS = pytest.StashKey[RunningServers]()
_SERVERS_OF_OTHERS = pytest.StashKey[list[str]]()


def missing(reason: str) -> NoReturn:
    """Nobody shall believe of CI that a test ran when it was skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SERVERS] = RunningServers()
    config.stash[_SERVERS_OF_OTHERS] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where files run in several processes, each tells the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["brokers"] = session.config.stash[_SERVERS].names


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_SERVERS_OF_OTHERS] += getattr(node, "workeroutput", {}).get("brokers", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    names = [*config.stash[_SERVERS].names, *config.stash[_SERVERS_OF_OTHERS]]
    if names := list(dict.fromkeys(names)):
        terminalreporter.write_line(f"brokers: {'; '.join(names)}")


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[RunningServers]:
    with pytestconfig.stash[_SERVERS] as running:
        yield running


@pytest.fixture(scope="session", params=[find_apache_kafka, NoidaKafka], ids=["apache", "noida"])
def kafka(request: pytest.FixtureRequest, servers: RunningServers) -> AnyKafka:
    """Each Kafka in turn."""
    find: Callable[[], AnyKafka] = request.param
    return _running(servers, find)


@pytest.fixture(scope="session")
def apache_kafka(servers: RunningServers) -> AnyKafka:
    """Apache Kafka where it runs, noida-db where it does not."""
    try:
        return servers.get(find_apache_kafka)
    except Unavailable:
        return _running(servers, NoidaKafka)


@pytest.fixture(scope="session")
def secured_kafka(servers: RunningServers) -> SecuredKafka:
    """Apache Kafka with passwords, certificates and an authorizer."""
    return _running(servers, SecuredKafka)


@pytest.fixture(scope="session", params=[find_redis, find_valkey], ids=["redis", "valkey"])
def redis_server(request: pytest.FixtureRequest, servers: RunningServers) -> AnyRedis:
    """Redis and Valkey in turn. Tests that kill a server start their own."""
    find: Callable[[], AnyRedis] = request.param
    return _running(servers, find)


@pytest.fixture(scope="session")
def secured_redis(servers: RunningServers) -> SecuredRedis:
    """Redis with TLS, which wants certificates."""
    return _running(servers, SecuredRedis)


@pytest.fixture(scope="session")
def any_redis(servers: RunningServers) -> AnyRedis:
    """Redis where it runs, Valkey where it does not."""
    try:
        return servers.get(find_redis)
    except Unavailable:
        return _running(servers, find_valkey)


@pytest.fixture(scope="session")
def _provider(servers: RunningServers) -> ScriptedProvider:
    return servers.get(ScriptedProvider)


@pytest.fixture
def provider(_provider: ScriptedProvider) -> ScriptedProvider:
    """One process for the session, with an empty ledger and no script for each test."""
    _provider.clear()
    return _provider


def _running(servers: RunningServers, find: Callable[[], S]) -> S:
    try:
        return servers.get(find)
    except Unavailable as reason:
        missing(str(reason))
