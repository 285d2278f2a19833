"""How far the bench is, apart from its results."""

import sys
import time

_started_at = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - _started_at:6.1f} s  {text}", file=sys.stderr, flush=True)
