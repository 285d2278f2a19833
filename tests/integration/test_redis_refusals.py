"""What a Redis that lets us not in, or not far enough, is said to have against us."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from shared.adapters.redis_connections import connect_redis
from shared.adapters.redis_refusal import RedisRefused
from shared.settings import ServiceSettings
from tests.support.certificates import TestAuthority
from tests.support.redis_acl import documented_rule
from tests.support.secured_redis import SecuredRedis
from tests.support.server import AnyRedis

PASSWORD = "CANARY-secret"
SCRIPTS = Path(__file__).parents[2] / "shared" / "adapters" / "redis_scripts"
BASIC = {"+ping", "+eval", "+subscribe", "+evalsha", "+info", "+unsubscribe"}
"""What no script can try."""


@pytest.fixture
async def admin(redis_server: AnyRedis) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_server.url) as client:
        yield client


async def welcome(url: str) -> None:
    async with connect_redis(url, max_connections=2, timeout_seconds=5):
        pass


async def refusal(url: str) -> str:
    with pytest.raises(RedisRefused) as raised:
        await welcome(url)
    said = str(raised.value)
    assert PASSWORD not in said
    assert "\n" not in said
    return said


async def user(admin: Redis, rule: list[str]) -> str:
    """A new one."""
    name = f"user-{uuid4().hex[:8]}"
    words = ("ACL", "SETUSER", name, "on", f">{PASSWORD}", *rule)
    await admin.execute_command(*words)  # type: ignore[no-untyped-call]
    return name


def address(server: AnyRedis, name: str, password: str = PASSWORD) -> str:
    return server.url.replace("redis://", f"redis://{name}:{password}@")


async def test_the_documented_rule_is_enough(redis_server: AnyRedis, admin: Redis) -> None:
    await welcome(address(redis_server, await user(admin, documented_rule())))


async def test_each_right_that_is_missing_is_named(redis_server: AnyRedis, admin: Redis) -> None:
    tried = [word for word in documented_rule() if word.startswith("+") and word not in BASIC]
    rule = [word for word in documented_rule() if word not in tried]
    said = await refusal(address(redis_server, await user(admin, rule)))
    names = ", ".join(sorted(word[1:].upper() for word in tried))
    assert said == f"Redis gives the user in REDIS_URL no {names} on llm:*"


@pytest.mark.parametrize("missing", ["~llm:*", "&llm:*", "+eval", "+subscribe"])
async def test_so_are_keys_channels_and_what_asks(redis_server: AnyRedis, admin: Redis, missing: str) -> None:
    name = await user(admin, [word for word in documented_rule() if word != missing])
    assert "Redis gives the user in REDIS_URL" in await refusal(address(redis_server, name))


def test_the_rule_gives_what_the_scripts_use_and_no_more() -> None:
    scripts = [file.read_text() for file in SCRIPTS.glob("*.lua") if file.stem != "check_rights"]
    used = {name.lower() for text in scripts for name in re.findall(r"redis\.call\('(\w+)'", text)}
    outside = {"ping", "info", "eval", "evalsha", "subscribe", "unsubscribe"}
    outside |= {"hstrlen", "zscan", "xrange", "lrange"}
    outside |= {"hsetnx", "get", "expire"}  # the store's condition
    assert {word[1:] for word in documented_rule() if word.startswith("+")} == used | outside


@pytest.mark.parametrize("name", ["", "nobody"])
async def test_a_wrong_password(redis_server: AnyRedis, admin: Redis, name: str) -> None:
    name = name or await user(admin, documented_rule())
    said = await refusal(address(redis_server, name, "wrong"))
    assert said.startswith("Redis refuses the user or password in REDIS_URL")


async def test_a_redis_that_is_away_refuses_nobody() -> None:
    await welcome("redis://127.0.0.1:1")


def with_files(secured: SecuredRedis, files: Mapping[str, str]) -> str:
    fields: dict[str, Any] = {"redis_url": secured.tls_url(), **files}
    return ServiceSettings(_env_file=None, **fields).redis_address()


def files_of(authority: TestAuthority) -> dict[str, str]:
    certificate, key = authority.issue(f"client-{uuid4().hex[:8]}")
    return {
        "redis_ssl_ca_file": str(authority.ca),
        "redis_ssl_cert_file": str(certificate),
        "redis_ssl_key_file": str(key),
    }


async def test_both_certificates_are_shown(secured_redis: SecuredRedis) -> None:
    await welcome(with_files(secured_redis, files_of(secured_redis.authority)))


async def test_an_authority_that_is_not_trusted(secured_redis: SecuredRedis, tmp_path: Path) -> None:
    said = await refusal(with_files(secured_redis, files_of(TestAuthority(tmp_path))))
    assert said.startswith("Redis shows a certificate that is not trusted (REDIS_SSL_CA_FILE)")


async def test_a_certificate_that_is_missing(secured_redis: SecuredRedis) -> None:
    own = {"redis_ssl_ca_file": str(secured_redis.authority.ca)}
    said = await refusal(with_files(secured_redis, own))
    assert said.startswith("Redis refuses the certificate in REDIS_SSL_CERT_FILE, or wants one")
