"""The files of the page, read once, under the paths at which a browser asks for them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = "/"
_FOLDER = Path(__file__).parent / "static"
_INDEX = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One of them."""

    content: bytes
    media_type: str
    etag: str


@cache
def page_files() -> Mapping[str, PageFile]:
    """By path; the page itself is `/`."""
    paths = sorted(path for path in _FOLDER.rglob("*") if path.suffix in _MEDIA_TYPES)
    return {_path_of(path): _read(path) for path in paths}


def _path_of(path: Path) -> str:
    name = path.relative_to(_FOLDER).as_posix()
    return PAGE if name == _INDEX else f"/dashboard/{name}"


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return PageFile(content, _MEDIA_TYPES[path.suffix], etag)
