"""A Redis that encrypts, wants certificates and gives the least rights: the whole flow, in both ways."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import cluster_settings, provider_settings
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_acl import with_least_rights
from tests.support.secured_redis import SecuredRedis
from tests.support.server import AnyKafka
from tests.support.service_processes import clean_environment, gateway, one_process, worker

CANARY = "CANARY"


@pytest.fixture
def redis_settings(secured_redis: SecuredRedis) -> dict[str, str]:
    certificate, key = secured_redis.authority.issue("client")
    user = with_least_rights(secured_redis.url)
    return {
        "REDIS_URL": user.replace("redis://", "rediss://").replace(
            f":{secured_redis.server.port}", f":{secured_redis.tls_port}"
        ),
        "REDIS_SSL_CA_FILE": str(secured_redis.authority.ca),
        "REDIS_SSL_CERT_FILE": str(certificate),
        "REDIS_SSL_KEY_FILE": str(key),
        "LLM_LIMIT_REQUESTS_PER_MINUTE": "100",
        "LLM_RESPONSE_CACHE": "all",
    }


@pytest.fixture(params=["one process", "distributed"])
def url(
    request: pytest.FixtureRequest,
    redis_settings: dict[str, str],
    secured_redis: SecuredRedis,
    provider: ScriptedProvider,
    tmp_path: Path,
) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "one process":
            settings = provider_settings(provider) | redis_settings
            yield stack.enter_context(one_process(tmp_path, **settings)).url
            return
        kafka: AnyKafka = request.getfixturevalue("apache_kafka")
        settings = cluster_settings(kafka, secured_redis, provider) | redis_settings
        service = stack.enter_context(gateway(tmp_path, **settings))
        stack.enter_context(worker(tmp_path, **settings))
        yield service.url


def test_the_whole_flow_needs_no_more(url: str, tmp_path: Path) -> None:
    with httpx.Client(base_url=url, timeout=60) as http:
        body = {"user_prompt": f"What is the capital of {tmp_path.name}?"}
        first = http.post("/invoke", json=body).raise_for_status()
        assert "RateLimit" in first.headers
        assert http.post("/invoke", json=body).json()["performance"]["cache_hit"]
        with http.stream("POST", "/invoke", json={"user_prompt": "Stream it", "stream": True}) as streamed:
            assert b"data:" in streamed.read()
        request_id = first.json()["request_id"]
        assert http.delete(f"/result/{request_id}").status_code == 204
        assert http.get(f"/result/{request_id}").status_code == 410
        assert http.get("/health/ready").status_code == 200
        assert http.get("/health").json()["status"] == "healthy"
        assert http.get("/stats").raise_for_status()
    logs = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    assert "StoreUnavailable" not in logs
    assert CANARY not in logs


@pytest.mark.parametrize("program", ["main.py", "worker"])
def test_a_wrong_password_ends_the_start(
    redis_settings: dict[str, str],
    apache_kafka: AnyKafka,
    provider: ScriptedProvider,
    tmp_path: Path,
    program: str,
) -> None:
    wrong = redis_settings | {"REDIS_URL": redis_settings["REDIS_URL"].replace("-secret@", "-wrong@")}
    settings = provider_settings(provider) | wrong | {"LLM_PORT": "0", "WORKER_HEALTH_PORT": "0"}
    words = [str(Path(__file__).parents[2] / "main.py")]
    if program == "worker":
        words = ["-m", "worker"]
        settings |= {"KAFKA_ENABLED": "true", "KAFKA_BOOTSTRAP_SERVERS": apache_kafka.bootstrap_servers}
    done = subprocess.run(
        [sys.executable, *words],
        env=clean_environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert CANARY not in said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "Redis" in line]
    assert "Redis refuses the user or password in REDIS_URL" in line
