"""`python -m tests.bench.peers [NAME...]`: install the peers, or those named; without a name, all."""

import sys

from tests.bench.peers.known import PEERS
from tests.support.availability import Unavailable


def main() -> None:
    names = sys.argv[1:] or list(PEERS)
    if unknown := set(names) - set(PEERS):
        raise SystemExit(f"{', '.join(sorted(unknown))}: not known; there are {', '.join(PEERS)}")
    failures = [name for name in names if not _install(name)]
    raise SystemExit(1 if failures else 0)


def _install(name: str) -> bool:
    try:
        PEERS[name].install()
    except Unavailable as reason:
        print(f"{name}: {reason}")
        return False
    print(f"{name}: {PEERS[name].version} is installed")
    return True


if __name__ == "__main__":
    main()
