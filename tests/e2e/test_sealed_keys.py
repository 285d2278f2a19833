"""Callers' keys in distributed mode: sealed by the gateway or by the producer, opened by workers alone."""

import base64
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from joserfc import jwe
from joserfc.jwk import OKPKey

from tests.e2e.conftest import cluster_settings
from tests.e2e.test_lifecycle import refuse_to_start, until
from tests.support.provider_process import ScriptedProvider
from tests.support.sealing_keys import KeyFiles
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import Service, gateway, logged, worker
from tests.support.topics import produce, read_until

CANARY = "sk-CANARY-of-a-caller-9f2c"


@dataclass(frozen=True)
class Sealed:
    """A gateway that seals and a worker that opens."""

    settings: dict[str, str]
    gateway: Service
    worker: Any
    files: KeyFiles

    def jwks(self) -> list[dict[str, str]]:
        keys: list[dict[str, str]] = httpx.get(f"{self.gateway.url}/.well-known/jwks.json").json()["keys"]
        return keys

    def ask(self, **body: object) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.post(f"{self.gateway.url}/invoke", json=body, timeout=60).json()
        return answer

    async def produce(self, **body: object) -> str:
        """A direct producer's record; its request id."""
        request_id = str(body.setdefault("request_id", str(uuid4())))
        brokers, topic = self.settings["KAFKA_BOOTSTRAP_SERVERS"], self.settings["KAFKA_REQUEST_TOPIC"]
        await produce(brokers, topic, orjson.dumps(body), key=request_id.encode())
        return request_id

    def result(self, request_id: str) -> dict[str, Any]:
        url = f"{self.gateway.url}/result/{request_id}?wait=10"
        until(lambda: httpx.get(url, timeout=60).status_code == 200)
        answer: dict[str, Any] = httpx.get(url, timeout=60).json()
        return answer


@pytest.fixture(scope="module")
def sealed(
    apache_kafka: AnyKafka, any_redis: AnyRedis, _provider: ScriptedProvider, module_folder: Path
) -> Iterator[Sealed]:
    files = KeyFiles(module_folder / "keys")
    files.run("generate")
    settings = cluster_settings(apache_kafka, any_redis, _provider)
    with ExitStack() as stack:
        sealing = stack.enter_context(
            gateway(module_folder, LLM_SEALING_JWKS_FILE=str(files.public), **settings)
        )
        opening = stack.enter_context(
            worker(module_folder, WORKER_SEALING_KEYS_FILE=str(files.private), **settings)
        )
        yield Sealed(settings, sealing, opening, files)


def seal(
    public: dict[str, str], request_id: str, *, key: str = CANARY, seconds: float = 60, **more: Any
) -> str:
    """As docs/produce.md tells a producer to, with the library alone."""
    content = {"openai_api_key": key, "request_id": request_id, "exp": time.time() + seconds}
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": public["kid"], **more}
    return jwe.encrypt_compact(header, orjson.dumps(content), OKPKey.import_key(dict(public)))


def test_a_callers_key_travels_sealed_and_the_provider_gets_it(
    sealed: Sealed, provider: ScriptedProvider
) -> None:
    body = {"user_prompt": str(uuid4()), "openai_api_key": CANARY, "request_id": str(uuid4())}
    answer = httpx.post(f"{sealed.gateway.url}/invoke", json=body, timeout=60)
    assert answer.json()["success"], answer.text
    assert [call.key_ending for call in provider.calls_of(str(body["user_prompt"]))] == [CANARY[-4:]]
    # The same key again is the same request, another one is not
    again = httpx.post(f"{sealed.gateway.url}/invoke", json=body, timeout=60)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    other = httpx.post(f"{sealed.gateway.url}/invoke", json=body | {"openai_api_key": CANARY + "x"})
    assert other.json()["error"]["error_code"] == "DUPLICATE_REQUEST_ID"


async def test_the_record_holds_no_key_that_can_be_read(sealed: Sealed) -> None:
    request_id = str(uuid4())
    assert sealed.ask(user_prompt="x", openai_api_key=CANARY, request_id=request_id)["success"]
    record = await read_until(
        sealed.settings["KAFKA_BOOTSTRAP_SERVERS"],
        sealed.settings["KAFKA_REQUEST_TOPIC"],
        lambda record: record.key == request_id.encode(),
    )
    value = orjson.loads(record.value)
    assert "openai_api_key" not in value
    header = orjson.loads(base64.urlsafe_b64decode(value["sealed_openai_api_key"].split(".")[0] + "=="))
    assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES", "A256GCM", sealed.jwks()[0]["kid"])


async def test_a_producer_seals_with_the_published_key(sealed: Sealed, provider: ScriptedProvider) -> None:
    public, request_id, prompt = sealed.jwks()[0], str(uuid4()), str(uuid4())
    assert set(public) == {"kty", "crv", "x", "kid", "use", "alg"}
    await sealed.produce(
        request_id=request_id, user_prompt=prompt, sealed_openai_api_key=seal(public, request_id)
    )
    assert sealed.result(request_id)["success"]
    assert [call.key_ending for call in provider.calls_of(prompt)] == [CANARY[-4:]]


def _stranger(kid: str = "") -> dict[str, str]:
    public = OKPKey.generate_key("X25519", auto_kid=True).as_dict(private=False)
    return {"kty": "OKP", "crv": "X25519", "x": str(public["x"]), "kid": kid or str(public["kid"])}


def _cut(compact: str) -> str:
    head, *rest = compact.split(".")
    return ".".join([head, *rest[:-1], "A" * len(rest[-1])])


@pytest.mark.parametrize(
    "way", ["moved", "expired", "eternal", "unknown kid", "foreign", "changed", "zip", "none"]
)
async def test_a_key_that_was_not_sealed_for_this_record_fails_it_without_a_call(
    sealed: Sealed, provider: ScriptedProvider, way: str
) -> None:
    public, request_id, prompt = sealed.jwks()[0], str(uuid4()), str(uuid4())
    wrong = {
        "moved": lambda: (seal(public, str(uuid4())), "another job"),
        "expired": lambda: (seal(public, request_id, seconds=-1), "expired at"),
        "eternal": lambda: (seal(public, request_id, seconds=1e7), "too far away"),
        "unknown kid": lambda: (seal(_stranger(), request_id), "is not known"),
        "foreign": lambda: (seal(_stranger(public["kid"]), request_id), "cannot be opened"),
        "changed": lambda: (_cut(seal(public, request_id)), "cannot be opened"),
        "zip": lambda: (seal(public, request_id, zip="DEF"), "zip is not accepted"),
        "none": lambda: ("e30.a.b.c.d", "alg"),
    }
    compact, reason = wrong[way]()  # type: ignore[no-untyped-call] # lambdas
    await sealed.produce(request_id=request_id, user_prompt=prompt, sealed_openai_api_key=compact)
    error = sealed.result(request_id)["error"]
    assert (error["error_code"], error["field"]) == ("INVALID_SEALED_KEY", "sealed_openai_api_key")
    assert reason in error["message"]
    assert provider.calls_of(prompt) == []
    # And it is told, with where the record stands
    told = [line for line in logged(sealed.worker, "key_refused") if line["request_id"] == request_id]
    assert [line["reason"] for line in told] == ["INVALID_SEALED_KEY"]


async def test_a_key_in_the_clear_is_refused_and_told_without_being_repeated(
    sealed: Sealed, provider: ScriptedProvider
) -> None:
    prompt = str(uuid4())
    request_id = await sealed.produce(user_prompt=prompt, openai_api_key=CANARY)
    assert sealed.result(request_id)["error"]["error_code"] == "API_KEY_NOT_ACCEPTED"
    told = await read_until(
        sealed.settings["KAFKA_BOOTSTRAP_SERVERS"],
        sealed.settings["KAFKA_ERROR_TOPIC"],
        lambda record: record.key == request_id.encode(),
    )
    assert b"API_KEY_NOT_ACCEPTED" in told.value
    assert CANARY.encode() not in told.value
    assert provider.calls_of(prompt) == []


async def test_two_keys_are_live_while_they_rotate(sealed: Sealed) -> None:
    old = sealed.jwks()[0]
    # When the keys are rotated under running processes
    sealed.files.run("rotate")
    until(lambda: sealed.jwks()[0]["kid"] != old["kid"])
    assert [key["kid"] for key in sealed.jwks()[1:]] == [old["kid"]]
    # Then what is sealed to either opens
    for public in (old, sealed.jwks()[0]):
        request_id = str(uuid4())
        compact = seal(public, request_id)
        await sealed.produce(request_id=request_id, user_prompt="x", sealed_openai_api_key=compact)
        assert sealed.result(request_id)["success"]
    # And the gateway seals to the new one, until the old one is dropped
    assert sealed.ask(user_prompt="x", openai_api_key=CANARY)["success"]
    sealed.files.run("prune", "--keep", "1")
    until(lambda: len(sealed.jwks()) == 1)
    answer: dict[str, Any] = {"success": True}
    while answer["success"]:  # until the worker has looked at its file again
        request_id = str(uuid4())
        compact = seal(old, request_id)
        await sealed.produce(request_id=request_id, user_prompt="x", sealed_openai_api_key=compact)
        answer = sealed.result(request_id)
    assert "is not known" in answer["error"]["message"]


async def test_an_operator_may_allow_keys_in_the_clear(
    sealed: Sealed,
    apache_kafka: AnyKafka,
    any_redis: AnyRedis,
    provider: ScriptedProvider,
    tmp_path: Path,
) -> None:
    settings = cluster_settings(apache_kafka, any_redis, provider)
    prompt = str(uuid4())
    with (
        gateway(tmp_path, **settings) as service,
        worker(tmp_path, KAFKA_ALLOW_CLEAR_KEYS="true", **settings) as allowing,
    ):
        cluster = Sealed(settings, service, allowing, sealed.files)
        assert cluster.jwks() == []
        request_id = await cluster.produce(user_prompt=prompt, openai_api_key=CANARY)
        assert cluster.result(request_id)["success"]
    assert [call.key_ending for call in provider.calls_of(prompt)] == [CANARY[-4:]]


@pytest.mark.parametrize(
    ("service", "variable", "wrong", "names"),
    [
        ("worker", "WORKER_SEALING_KEYS_FILE", "missing", ["cannot be read"]),
        ("worker", "WORKER_SEALING_KEYS_FILE", "world-readable", ["0644", "0600"]),
        ("worker", "WORKER_SEALING_KEYS_FILE", "public", ["public key"]),
        ("worker", "WORKER_SEALING_KEYS_FILE", "nonsense", ["JWK Set"]),
        ("gateway", "LLM_SEALING_JWKS_FILE", "missing", ["cannot be read"]),
        ("gateway", "LLM_SEALING_JWKS_FILE", "private", ["private key", "workers alone"]),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_stops_the_start_with_one_line(
    tmp_path: Path, service: str, variable: str, wrong: str, names: list[str]
) -> None:
    files = KeyFiles(tmp_path)
    files.run("generate")
    secret, path = files.secret(), files.path_of(wrong)
    settings = {variable: str(path), "OPENAI_API_KEY": "sk-own", "KAFKA_ENABLED": "true"}
    complaint = refuse_to_start("-m", service, **settings)
    assert len(complaint.splitlines()) == 1
    assert all(name in complaint for name in [f"{variable}={path}", *names]), complaint
    assert secret not in complaint
