"""Every entry of docs/troubleshooting.md, reproduced: here, or by the tests that are named."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from shared.domain.errors import ErrorCode
from tests.docs.pages import ROOT, block
from tests.e2e.conftest import provider_settings
from tests.e2e.test_lifecycle import until
from tests.support.noida_kafka import NoidaKafka
from tests.support.ports import free_port
from tests.support.provider_process import ScriptedProvider
from tests.support.service_processes import logged, one_process

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
HERE = "tests/docs/test_troubleshooting.py"
REPRODUCED = {
    "The small model does not start": [
        ("tests/e2e/test_without_key.py", "test_a_system_without_the_models_library_is_told_what_to_install"),
    ],
    "Redis connection failed": [
        (HERE, "test_redis_that_is_away_is_told_and_jobs_go_on"),
        ("tests/e2e/test_lifecycle.py", "test_one_process_goes_on_in_memory_when_redis_dies"),
        (
            "tests/e2e/test_redis_away.py",
            "test_jobs_flow_while_redis_is_away_and_results_are_in_it_afterwards",
        ),
    ],
    "Kafka producer errors": [
        (HERE, "test_facts_wait_on_disk_for_a_kafka_that_is_away_at_the_start"),
        (HERE, "test_facts_wait_on_disk_while_kafka_is_away"),
        ("tests/e2e/test_lifecycle.py", "test_kafka_away_is_503_and_the_id_is_free_again"),
    ],
    "OpenAI API errors": [
        ("tests/e2e/test_every_error.py", "test_an_error_is_what_the_table_says"),
        ("tests/integration/test_provider_faults.py", "test_a_fault_is_an_error_of_its_kind_and_counted"),
    ],
    "High latency": [
        (HERE, "test_performance_says_where_the_time_went"),
        ("tests/e2e/test_response_cache.py", "test_an_equal_question_is_answered_without_a_call"),
    ],
    "Debug mode": [
        (HERE, "test_debug_mode_is_for_people"),
        ("tests/e2e/test_log_content.py", "test_a_log_has_no_content"),
    ],
}


def test_every_entry_is_reproduced() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE) == list(REPRODUCED)
    for file, name in (each for tests in REPRODUCED.values() for each in tests):
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name


@pytest.mark.parametrize("code", re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE))
def test_a_named_error_exists(code: str) -> None:
    assert ErrorCode(code)


def test_redis_that_is_away_is_told_and_jobs_go_on(provider: ScriptedProvider, tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    with one_process(tmp_path, REDIS_URL=nobody, **provider_settings(provider)) as service:
        health = httpx.get(f"{service.url}/health").json()
        assert (health["status"], health["dependencies"]["redis"].split(":")[0]) == (
            "degraded",
            "unavailable",
        )
        assert httpx.post(f"{service.url}/invoke", json={"user_prompt": "x"}).status_code == 200
        assert logged(service.child, "result_store_degraded")


@pytest.fixture
def own_kafka() -> Iterator[NoidaKafka]:
    with NoidaKafka() as kafka:
        yield kafka


def told_to(kafka: NoidaKafka) -> dict[str, str]:
    """Settings of one process whose facts go there."""
    return {
        "KAFKA_ENABLED": "true",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_ENABLED": "false",
    }


def test_facts_wait_on_disk_while_kafka_is_away(
    own_kafka: NoidaKafka, provider: ScriptedProvider, tmp_path: Path
) -> None:
    """And are sent when it is back."""
    settings = told_to(own_kafka)
    with one_process(tmp_path, **settings, **provider_settings(provider)) as service:
        own_kafka.kill()
        assert httpx.post(f"{service.url}/invoke", json={"user_prompt": "x"}, timeout=60).status_code == 200
        until(lambda: bool(logged(service.child, "events_spooled")), 60)
        own_kafka.start()
        until(lambda: "llm_events_spooled 0.0" in httpx.get(f"{service.url}/metrics").text, 60)


def test_facts_wait_on_disk_for_a_kafka_that_is_away_at_the_start(
    own_kafka: NoidaKafka, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = told_to(own_kafka)
    own_kafka.kill()
    with one_process(tmp_path, **settings, **provider_settings(provider)) as service:
        (told,) = logged(service.child, "kafka_not_ready")
        assert told["brokers"] == own_kafka.bootstrap_servers
        assert httpx.post(f"{service.url}/invoke", json={"user_prompt": "x"}, timeout=60).status_code == 200
        until(lambda: bool(logged(service.child, "events_spooled")), 60)
        own_kafka.start()
        until(lambda: "llm_events_spooled 0.0" in httpx.get(f"{service.url}/metrics").text, 60)
        assert logged(service.child, "kafka_ready")
        assert logged(service.child, "events_resent")


def test_performance_says_where_the_time_went(provider: ScriptedProvider, tmp_path: Path) -> None:
    """One call at a time, so that the second one waits for the first."""
    settings = {"WORKER_CONCURRENCY": "1", "REDIS_ENABLED": "false", **provider_settings(provider)}
    with one_process(tmp_path, **settings) as service, httpx.Client(base_url=service.url, timeout=60) as http:
        first = http.post("/submit", json={"user_prompt": "slow [[latency_ms=3000]]"}).json()
        second = http.post("/invoke", json={"user_prompt": "after it [[latency_ms=200]]"}).json()[
            "performance"
        ]
        again = http.post("/invoke", json={"user_prompt": f"{uuid4()} [[status=503 times=2]]"}).json()[
            "performance"
        ]
        slow = http.get(first["status_url"]).json()["performance"]
    assert slow["llm_latency_ms"] >= 3000
    assert second["queue_ms"] >= 1000  # of the three seconds that were left of the first
    assert again["attempts"] == 3


def test_debug_mode_is_for_people(provider: ScriptedProvider, tmp_path: Path) -> None:
    *exports, command = block("bash", "LLM_DEBUG").splitlines()
    assert command == "python main.py"
    settings = dict(line.removeprefix("export ").split("=") for line in exports)
    with one_process(tmp_path, REDIS_ENABLED="false", **settings, **provider_settings(provider)) as service:
        httpx.post(f"{service.url}/invoke", json={"user_prompt": "x"}, timeout=60)
        until(lambda: "request_answered" in service.child.log())
        [line] = [line for line in service.child.log().splitlines() if "request_answered" in line]
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3} INFO +request_answered ", line)
