"""A Chromium that is there."""

import shutil

from tests.support.availability import Unavailable

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str:
    """Its path; `Unavailable` if none is installed."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise Unavailable(f"no browser: none of {', '.join(_NAMES)} is installed")
    return found
