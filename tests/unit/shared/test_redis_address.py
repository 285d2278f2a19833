"""What REDIS_URL may say, and what a wrong one is answered."""

import pytest
from redis.asyncio.connection import SSLConnection

from shared.adapters.redis_address import parse_redis_url


@pytest.mark.parametrize(
    ("url", "sentinels"),
    [
        ("redis+sentinel://one/m", (("one", 26379),)),
        ("redis+sentinel://one:1,two,three:3/m", (("one", 1), ("two", 26379), ("three", 3))),
        ("redis+sentinel://u:p%40%2Css@one:1,two:2/m", (("one", 1), ("two", 2))),
        ("redis+sentinel://[::1]:1,[fe80::2]/m", (("::1", 1), ("fe80::2", 26379))),
    ],
)
def test_every_sentinel_is_known(url: str, sentinels: tuple[tuple[str, int], ...]) -> None:
    address = parse_redis_url(url)
    assert (address.sentinels, address.master) == (sentinels, "m")


def test_user_password_and_database_are_for_the_redis_behind() -> None:
    address = parse_redis_url("redis+sentinel://u:p%40%2Css@one:1,two:2/my-master/3")
    assert address.options == {"username": "u", "password": "p@,ss", "db": 3}
    assert address.sentinel_options == {"ssl": False}


def test_sentinels_may_have_a_password_of_their_own() -> None:
    address = parse_redis_url("redis+sentinel://:p@one/m?sentinel_username=s&sentinel_password=t%26")
    assert address.options == {"password": "p"}
    assert address.sentinel_options == {"username": "s", "password": "t&", "ssl": False}


def test_rediss_encrypts_both_the_same_way() -> None:
    address = parse_redis_url("rediss+sentinel://one/m?ssl_ca_certs=/ca.pem")
    assert address.options == {"connection_class": SSLConnection, "ssl_ca_certs": "/ca.pem"}
    assert address.sentinel_options == {"ssl": True, "ssl_ca_certs": "/ca.pem"}


def test_a_plain_address_has_no_sentinels() -> None:
    address = parse_redis_url("redis://:p@here:1/2")
    assert address.options == {"host": "here", "port": 1, "password": "p", "db": 2}
    assert (address.sentinels, address.master) == ((), "")


def test_a_cluster_is_known_by_some_of_its_nodes() -> None:
    address = parse_redis_url("redis+cluster://u:p%40%2Css@one,two:7001,[::1]:3")
    assert address.cluster == (("one", 6379), ("two", 7001), ("::1", 3))
    assert address.options == {"username": "u", "password": "p@,ss"}


def test_a_cluster_is_encrypted_as_one_redis_is() -> None:
    address = parse_redis_url("rediss+cluster://one/0?ssl_ca_certs=/ca.pem")
    assert address.options == {"connection_class": SSLConnection, "ssl_ca_certs": "/ca.pem"}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+cluster://:secret@one/1", "a cluster has database 0 alone"),
        ("redis+cluster://:secret@one:x", "the port of 'one:x' is not one from 0 to 65535"),
        ("redis+cluster://:secret@", "a host is missing"),
    ],
)
def test_a_wrong_form_of_a_cluster(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match="redis\\+cluster://\\[user:password@\\]host") as refused:
        parse_redis_url(url)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+sentinel://:secret@one:1", "it names no master"),
        ("redis+sentinel://:secret@one:1/", "it names no master"),
        ("redis+sentinel://:secret@one:1/m/x", "the database is 'x', not a number"),
        ("redis+sentinel://:secret@one:1/m/1/2", "the database is '1/2', not a number"),
        ("redis+sentinel://:secret@one:x/m", "the port of 'one:x' is not one from 0 to 65535"),
        ("redis+sentinel://:secret@one:70000/m", "the port of 'one:70000' is not one from 0 to 65535"),
        ("redis+sentinel://:secret@one,,two/m", "a host is missing"),
        ("redis+sentinel://:secret@/m", "a host is missing"),
        ("redis-sentinel://:secret@one/m", "Redis URL must specify one of"),
        ("redis+sentinel://:secret@one/m?db=x", "Invalid value for 'db'"),
    ],
)
def test_a_wrong_form_is_refused_in_one_line_that_says_what_is_allowed(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match="redis\\+sentinel://\\[user:password@\\]host") as refused:
        parse_redis_url(url)
    said = str(refused.value)
    assert problem in said
    assert "\n" not in said
    assert "secret" not in said
