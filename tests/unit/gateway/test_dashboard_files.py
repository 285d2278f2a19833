"""The page's files: all of them served, none from elsewhere, and what a browser may do with them."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.dashboard import page_files as module
from gateway.dashboard.page_files import page_files
from tests.unit.gateway.gateway_in_process import Gateway, gateway_in_process

FOLDER = Path(module.__file__).parent
STATIC = FOLDER / "static"
OWN = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
REFERENCE = re.compile(r"""(?:src|href)="(?!#)([^"]+)"|from "\./([^"]+)\"""")
ROUTES = {"docs", "asyncapi", "stats", "metrics", "health"}


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_in_process() as running:
        yield running


async def test_every_file_is_served_as_it_is(gateway: Gateway) -> None:
    assert len(page_files()) == len([path for path in STATIC.rglob("*") if path.is_file()]) > 20
    for path, file in page_files().items():
        served = await gateway.http.get(path)
        assert (served.status_code, served.content) == (200, file.content)
        assert served.headers["content-type"] == file.media_type
        assert served.headers["x-content-type-options"] == "nosniff"


async def test_the_page_may_load_its_own_files_and_nothing_else(gateway: Gateway) -> None:
    policy = (await gateway.http.get("/")).headers["content-security-policy"].split("; ")
    sources = dict(part.split(" ", 1) for part in policy)
    assert sources.pop("default-src") == "'none'"
    assert set(sources.values()) == {"'self'", "'none'"}
    assert {name for name, source in sources.items() if source == "'self'"} == {
        "script-src",
        "style-src",
        "connect-src",
        "img-src",
    }


async def test_what_a_browser_has_is_not_sent_again(gateway: Gateway) -> None:
    first = await gateway.http.get("/dashboard/page.js")
    assert first.headers["cache-control"] == "no-cache"
    for told in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = await gateway.http.get("/dashboard/page.js", headers={"if-none-match": told})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    changed = await gateway.http.get("/dashboard/page.js", headers={"if-none-match": '"other"'})
    assert changed.status_code == 200


async def test_a_file_that_is_none_of_the_page_is_not_found(gateway: Gateway) -> None:
    for path in (
        "/dashboard",
        "/dashboard/README.md",
        "/dashboard/../page_files.py",
        "/dashboard/index.html",
    ):
        assert (await gateway.http.get(path)).status_code == 404, path


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_refers_to_what_is_there(path: Path) -> None:
    root = STATIC if path.suffix == ".html" else path.parent
    for match in REFERENCE.finditer(path.read_text()):
        told = match[1] or match[2]
        target = root / told.removeprefix("dashboard/")
        assert told in ROUTES or target.is_file(), told


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_is_asked_for_by_another(path: Path) -> None:
    asked = "".join(other.read_text() for other in OWN if other != path)
    assert path.name == "index.html" or path.name in asked


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style", page)
    for path in OWN:
        text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text), path.name
        assert "innerHTML" not in text, path.name


def test_what_is_not_ours_is_as_it_was_published_and_its_licence_is_beside_it() -> None:
    told = dict(
        re.findall(r"`vendor/(\S+)` \| [\d,]+ \| `([0-9a-f]{64})`", (FOLDER / "README.md").read_text())
    )
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (STATIC / "vendor").iterdir()
    }
    assert told == there
    assert "The MIT License" in (STATIC / "vendor" / "uPlot.LICENSE.txt").read_text()
