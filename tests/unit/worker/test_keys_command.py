"""`python -m worker.keys`: two files that belong together, and nothing lost or shown."""

import stat
from pathlib import Path

import orjson
import pytest

from tests.support.sealing_keys import KeyFiles
from worker.keys.__main__ import main


def run(folder: Path, command: str, *more: str) -> int:
    return main([command, "--private", str(folder / "private"), "--public", str(folder / "public"), *more])


def kids(path: Path) -> list[str]:
    return [key["kid"] for key in orjson.loads(path.read_bytes())["keys"]]


def test_generate_writes_a_private_and_a_public_file(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path)
    told = files.run("generate")
    private, public = (orjson.loads(path.read_bytes())["keys"] for path in (files.private, files.public))
    assert [sorted(set(mine) - set(theirs)) for mine, theirs in zip(private, public, strict=True)] == [["d"]]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (files.private, files.public)] == [0o600, 0o644]
    assert (public[0]["kid"] in told, files.secret() in told) == (True, False)
    assert {path.name for path in tmp_path.iterdir()} == {files.private.name, files.public.name}


def test_generate_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "generate") == 0
    before = (tmp_path / "private").read_bytes()
    assert run(tmp_path, "generate") == 1
    assert (tmp_path / "private").read_bytes() == before
    assert "rotate adds one" in capsys.readouterr().err


def test_rotate_puts_a_new_key_first_and_prune_drops_the_oldest(tmp_path: Path) -> None:
    run(tmp_path, "generate")
    first = kids(tmp_path / "private")
    assert run(tmp_path, "rotate") == 0
    second = kids(tmp_path / "private")
    assert (second[1:], len(set(second))) == (first, 2)
    assert kids(tmp_path / "public") == second
    assert run(tmp_path, "prune", "--keep", "1") == 0
    assert kids(tmp_path / "private") == kids(tmp_path / "public") == second[:1]
    assert run(tmp_path, "prune", "--keep", "1") == 1


@pytest.mark.parametrize("command", ["rotate", "prune"])
def test_what_is_not_there_cannot_be_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    more = ("--keep", "1") if command == "prune" else ()
    assert run(tmp_path, command, *more) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", ["0", "-1", "all"])
def test_how_many_stay_is_a_number(tmp_path: Path, keep: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, "prune", "--keep", keep)
    assert stopped.value.code == 2
