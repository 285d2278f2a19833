"""A Chromium that is there, and pages in it that tell what went wrong."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.availability import Unavailable

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """Its path; `Unavailable` if none is installed."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise Unavailable(f"no browser: none of {', '.join(_NAMES)} is installed")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Running without a window. While it does, this thread can run no other event loop."""
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, what it complained of, and whom it asked."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def heed(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def note(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)


@contextmanager
def watched_page(browser: Browser, url: str, **context: Any) -> Iterator[Watched]:
    """A page at `url`, in a context of its own."""
    with browser.new_context(**context) as own:
        watched = Watched(own.new_page())
        watched.page.set_default_timeout(20_000)
        watched.page.on("console", watched.heed)
        watched.page.on("pageerror", lambda fault: watched.complaints.append(str(fault)))
        watched.page.on("request", watched.note)
        watched.page.goto(url)
        yield watched
