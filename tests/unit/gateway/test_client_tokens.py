"""Tokens, their hashes, and the list of them."""

import hashlib
import re
import subprocess
import sys

import pytest

from gateway.client_tokens import client_of, entry_of, new_token, parse_client_tokens
from shared.domain.validation import short_echo
from tests.support.service_processes import ROOT, clean_environment

HASH = "0" * 64


def test_a_token_is_256_random_bits_behind_a_prefix() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"llmgw_[0-9a-f]{64}", token) for token in tokens)


def test_an_entry_holds_the_hash_and_opens_its_client() -> None:
    mine, yours = new_token(), new_token()
    text = f"{entry_of('mine', mine)},{entry_of('yours', yours)}"
    assert mine not in text
    assert hashlib.sha256(mine.encode()).hexdigest() in text
    tokens = parse_client_tokens(text)
    assert [client_of(tokens, token.encode()) for token in (mine, yours)] == ["mine", "yours"]


@pytest.mark.parametrize("wrong", [b"", b"llmgw_", b"\xff\x00", b"mine", HASH.encode()])
def test_nothing_else_opens_one(wrong: bytes) -> None:
    token = new_token()
    tokens = parse_client_tokens(entry_of("mine", token))
    assert client_of(tokens, wrong) is None
    assert client_of(tokens, token.encode() + b"0") is None
    assert client_of(tokens, bytes.fromhex(entry_of("mine", token).partition("=")[2])) is None


def test_lines_and_commas_and_comments() -> None:
    text = f"# clients\n a = {'1' * 64} , b={'2' * 64}\n\nc-1.x_y={'3' * 64} # until May\r\n"
    assert sorted(parse_client_tokens(text).values()) == ["a", "b", "c-1.x_y"]
    assert parse_client_tokens(" \n# nobody\n,") == {}


def test_a_client_may_have_two_tokens_while_one_replaces_the_other() -> None:
    old, new = new_token(), new_token()
    tokens = parse_client_tokens(f"{entry_of('mine', old)}\n{entry_of('mine', new)}")
    assert [client_of(tokens, token.encode()) for token in (old, new)] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("mine", "entry 2: after mine= must come"),
        ("mine=", "entry 2: after mine= must come"),
        (f"mine={HASH[1:]}", "entry 2: after mine= must come"),
        (f"mine={HASH.replace('0', 'A')}", "entry 2: after mine= must come"),
        (f"mine=llmgw_{HASH}", "entry 2: after mine= must come"),
        (f"llmgw_{HASH}", "entry 2: a client's name must come"),
        (f"={HASH}", "entry 2: a client's name must come"),
        (f"Mine={HASH}", "entry 2: a client's name must come"),
        (f"a:b={HASH}", "entry 2: a client's name must come"),
        (f"{'a' * 65}={HASH}", "entry 2: a client's name must come"),
        (f"mine={'f' * 64}", "entry 2: mine has the same token as first"),
    ],
)
def test_a_wrong_entry_is_named_and_not_repeated(entry: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        parse_client_tokens(f"first={'f' * 64},{entry}")
    assert not re.search(r"[0-9a-fA-F]{63}", str(refused.value))


def test_a_token_in_the_wrong_place_is_not_echoed() -> None:
    assert short_echo(f"/result/{new_token()}") == "/result/llmgw_..."


def test_the_command_prints_a_token_once_and_its_entry() -> None:
    done = _tokens("new", "team-a")
    token, entry = done.stdout.splitlines()
    assert (done.returncode, entry) == (0, entry_of("team-a", token))
    assert token not in done.stderr
    assert _tokens("new", "team-a").stdout.splitlines()[0] != token


@pytest.mark.parametrize("name", ["Team A", "", "-", "a\nb", "ä"])
def test_the_command_refuses_a_name_that_no_owner_can_have(name: str) -> None:
    done = _tokens("new", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "1 to 64 of a-z" in done.stderr or "required" in done.stderr


def _tokens(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.tokens", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
