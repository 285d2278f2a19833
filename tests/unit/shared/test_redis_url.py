"""The files of an encrypted Redis: part of its address, and refused where nobody would look at them."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.settings import load_settings
from tests.support.certificates import TestAuthority
from worker.settings import WorkerSettings

URL = "rediss://llm:CANARY%40secret@host:6380/0"


def address(**settings: str) -> str:
    return load_settings(WorkerSettings, _env_file=None, **settings).redis_address()


def refused(**settings: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        address(**settings)
    (line,) = str(stopped.value).splitlines()
    assert "CANARY" not in line
    assert "; allowed: " in line
    return line


def test_without_files_the_address_is_as_it_was() -> None:
    assert address(redis_url=URL) == URL


@pytest.mark.parametrize("scheme", ["rediss", "rediss+sentinel", "rediss+cluster"])
def test_the_files_are_options_of_the_address(tmp_path: Path, scheme: str) -> None:
    authority = TestAuthority(tmp_path)
    certificate, key = authority.issue("llm")
    told = address(
        redis_url=f"{scheme}://llm:CANARY%40secret@one:1,two:2/0?ssl_min_version=771",
        redis_ssl_ca_file=str(authority.ca),
        redis_ssl_cert_file=str(certificate),
        redis_ssl_key_file=str(key),
    )
    assert told.startswith(f"{scheme}://llm:CANARY%40secret@one:1,two:2/0?")
    assert parse_qs(urlsplit(told).query) == {
        "ssl_ca_certs": [str(authority.ca)],
        "ssl_certfile": [str(certificate)],
        "ssl_keyfile": [str(key)],
        "ssl_min_version": ["771"],
    }


def test_a_key_in_the_file_of_its_certificate(tmp_path: Path) -> None:
    store = str(TestAuthority(tmp_path).issue_in_one_file("llm"))
    options = parse_qs(urlsplit(address(redis_url=URL, redis_ssl_cert_file=store)).query)
    assert options == {"ssl_certfile": [store], "ssl_keyfile": [store]}


@pytest.mark.parametrize("url", ["redis://:CANARY@host", "redis+sentinel://:CANARY@host/m"])
def test_files_for_a_connection_in_the_clear_are_refused(url: str) -> None:
    line = refused(redis_url=url, redis_ssl_ca_file="/ca.pem")
    assert "REDIS_SSL_CA_FILE is set, but REDIS_URL=redis" in line


def test_a_file_that_cannot_be_read_is_named() -> None:
    assert "REDIS_SSL_CA_FILE='/gone.pem': it cannot be read" in refused(
        redis_url=URL, redis_ssl_ca_file="/gone.pem"
    )
