"""The file of tokens changes under a running gateway."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from gateway.client_tokens import parse_client_tokens
from gateway.known_clients import KnownClients
from tests.support.clients import Client, client

MINE, YOURS, LISTED = client("mine"), client("yours"), client("listed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(MINE.entry)
    return file


@pytest.fixture
def clients(path: Path) -> KnownClients:
    known = KnownClients(parse_client_tokens(LISTED.entry), path)
    known.read()
    return known


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged, facts included."""
    told: list[str] = []
    sink = logger.add(lambda line: told.append(str(line)), format="{level} {message} {extra}")
    yield told
    logger.remove(sink)


def opened_by(clients: KnownClients, *tried: Client) -> list[str | None]:
    return [clients.client_of(each.token.encode()) for each in tried]


def test_the_variable_and_the_file_count_together(clients: KnownClients) -> None:
    assert opened_by(clients, LISTED, MINE, YOURS) == ["listed", "mine", None]


def test_a_file_that_is_written_again_counts(clients: KnownClients, path: Path) -> None:
    path.write_text(f"{YOURS.entry}\n")
    clients.look()
    assert opened_by(clients, LISTED, MINE, YOURS) == ["listed", None, "yours"]


def test_a_change_counts_even_if_the_file_keeps_its_time_and_size(clients: KnownClients, path: Path) -> None:
    before = path.stat()
    another = client("mine")
    path.write_text(another.entry)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    clients.look()
    assert opened_by(clients, MINE, another) == [None, "mine"]


def test_a_file_that_is_replaced_counts(clients: KnownClients, path: Path) -> None:
    new = path.with_name("new")
    new.write_text(f"{MINE.entry}\n{YOURS.entry}")
    new.replace(path)
    clients.look()
    assert opened_by(clients, MINE, YOURS) == ["mine", "yours"]


def test_a_mounted_secret_is_swapped_behind_its_links(tmp_path: Path) -> None:
    # Given a file as a mounted Secret shows it: tokens -> ..data/tokens, ..data -> a folder of one version
    for version, entry in (("..1", MINE.entry), ("..2", YOURS.entry)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tokens").write_text(entry)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "tokens").symlink_to("..data/tokens")
    known = KnownClients({}, tmp_path / "tokens")
    known.read()
    # When the next version comes
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    known.look()
    # Then it counts
    assert opened_by(known, MINE, YOURS) == [None, "yours"]


@pytest.mark.parametrize(
    "broken",
    [b"", b"# nobody\n", b"mine", YOURS.entry[:-1].encode(), b"\xff\xfe", f"x={LISTED.entry[7:]}".encode()],
    ids=["empty", "comment", "no hash", "half written", "not text", "listed under another name"],
)
def test_a_broken_file_changes_nothing_and_is_told_once(
    clients: KnownClients, path: Path, lines: list[str], broken: bytes
) -> None:
    path.write_bytes(broken)
    clients.look()
    clients.look()
    assert opened_by(clients, LISTED, MINE, YOURS) == ["listed", "mine", None]
    [line] = lines
    assert line.startswith("ERROR client_tokens_kept")
    # And when it is whole again it counts, and breaking it again is told again
    path.write_text(YOURS.entry)
    clients.look()
    path.write_bytes(broken)
    clients.look()
    assert opened_by(clients, MINE, YOURS) == [None, "yours"]
    assert [line.split()[1] for line in lines[1:]] == ["client_tokens_read", "client_tokens_kept"]


def test_a_file_that_is_gone_changes_nothing(clients: KnownClients, path: Path, lines: list[str]) -> None:
    path.unlink()
    clients.look()
    assert opened_by(clients, MINE) == ["mine"]
    assert "No such file" in lines[0]


def test_no_line_and_no_repr_holds_a_token_or_a_hash(
    clients: KnownClients, path: Path, lines: list[str]
) -> None:
    for text in (f"{YOURS.entry}", YOURS.token, f"yours={YOURS.token}", f"{YOURS.entry},x={YOURS.entry[6:]}"):
        path.write_text(text)
        clients.look()
    told = f"{lines} {clients!r}"
    assert len(lines) == 4
    assert YOURS.token not in told
    assert YOURS.entry.partition("=")[2] not in told
