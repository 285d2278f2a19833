"""The documents a user reads: README.md, and what it leads to in docs/."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """What stands between fences."""

    page: Path
    kind: str
    body: str


def blocks(kind: str) -> list[Block]:
    return [
        Block(page, kind, body)
        for page in PAGES
        for its_kind, body in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        if its_kind == kind
    ]


def block(kind: str, word: str) -> str:
    """The only one of that kind, on any page, with `word` in it."""
    (found,) = [each.body for each in blocks(kind) if word in each.body]
    return found


def whole_text() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def page_with(mark: str) -> Path:
    """The only page that has a place for that table."""
    (found,) = [page for page in PAGES if f"<!-- {mark} -->\n" in page.read_text()]
    return found
