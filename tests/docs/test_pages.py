"""The pages as a whole: every link leads somewhere, every command is run by a test, every program exists."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks
from tests.support.service_processes import clean_environment

LINKING = sorted({*PAGES, *ROOT.glob("*/README.md"), ROOT / "CONTRIBUTING.md", *ROOT.glob("*/*/README.md")})
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PROGRAM = re.compile(r"python -m ((?:gateway|worker)(?:\.\w+)*)((?: [a-z][a-z-]*\b| --[a-z-]+)*)")

# Who runs a block: a word that it alone has, by which the test finds it.
RUN = {
    "bash": {
        "make test": "test_run.py",
        "make run\n": "test_run.py",
        "main.py --check": "test_run.py",
        "python -m worker &": "test_run.py",
        "WORKER_REPLICAS=3": "test_run.py",
        "observability down": "test_run.py",
        "docker run -p": "test_run.py",
        "docker push": "test_run.py",
        "OTEL_EXPORTER": "test_run.py",
        "production.yaml": "test_run.py",
        "helm upgrade": "test_run.py",
        "curl -X POST localhost:8000/invoke": "test_readme.py",
        "curl -X DELETE": "test_call.py",
        "gateway.cache purge": "test_call.py",
        "curl -N": "test_openai_example.py",
        "ce_type=llm.request.v1": "test_direct_producer.py",
        "kcat -C": "test_direct_producer.py",
        "worker.keys generate": "test_sealing_example.py",
        "/health/ready": "test_operate.py",
        "redrive --since": "test_operate.py",
        "exec worker python -m worker.find": "test_operate.py",
        "'no JSON'": "test_operate.py",
        "gateway.tokens new": "test_secure.py",
        "LLM_DEBUG": "test_troubleshooting.py",
    },
    "python": {
        "from openai": "test_openai_example.py",
        "AIOKafkaProducer": "test_direct_producer.py",
        "def seal": "test_sealing_example.py",
    },
}
SHOWN = {"", "json", "yaml"}


def links() -> Iterator[tuple[Path, str]]:
    for page in LINKING:
        for target in LINK.findall(page.read_text()):
            if not target.startswith(("http://", "https://")):
                yield page, target


@pytest.mark.parametrize(
    ("page", "target"), [pytest.param(p, t, id=f"{p.relative_to(ROOT)}-{t}") for p, t in sorted(set(links()))]
)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    where = (page.parent / path).resolve() if path else page
    assert where.exists(), f"{page.name} links to {target}"
    if anchor:
        assert anchor in anchors(where), f"{where.name} has no heading {anchor}"


@cache
def anchors(page: Path) -> set[str]:
    """As forges make them of headings: small letters, hyphens for blanks, no other signs."""
    without_code = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_first_one() -> None:
    reached = {
        (page.parent / target.partition("#")[0]).resolve() for page, target in links() if page == PAGES[0]
    }
    assert set(PAGES[1:]) <= reached


@pytest.mark.parametrize("kind", list(RUN))
def test_every_block_is_run_by_a_test(kind: str) -> None:
    found = blocks(kind)
    for word, test in RUN[kind].items():
        assert len([each for each in found if word in each.body]) == 1, f"{word!r} is not in one block"
        assert json.dumps(word)[1:-1] in (ROOT / "tests" / "docs" / test).read_text(), f"{test}: {word!r}"
    assert [each for each in found if not any(word in each.body for word in RUN[kind])] == []


def test_no_block_is_of_another_kind() -> None:
    """A command in a fence without its language would be run by nobody."""
    kinds = {
        kind
        for page in PAGES
        for kind in re.findall(r"^```(\w*)\n(?:.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    }
    assert kinds <= {*RUN, *SHOWN}


def programs() -> set[tuple[str, str]]:
    return {
        (module, words.strip())
        for page in PAGES
        for module, words in PROGRAM.findall(page.read_text().replace("`", " ` "))
    }


@pytest.mark.parametrize(("module", "words"), sorted(programs()))
def test_a_program_knows_the_words_that_it_is_given(module: str, words: str) -> None:
    """Subcommands and options, as its help tells them."""
    commands = [word for word in words.split() if not word.startswith("--")]
    asked = [] if module in ("gateway", "worker", "worker.topics") else [*commands[:1], "--help"]
    if not asked:
        assert set(words.split()) <= {"--check"}
        assert (ROOT / module.replace(".", "/")).is_dir() or (
            ROOT / f"{module.replace('.', '/')}.py"
        ).exists()
        return
    told = subprocess.run(
        [sys.executable, "-m", module, *asked],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = [word for word in words.split() if word.startswith("--")]
    assert all(re.search(rf"{option}(?![\w-])", told) for option in options)
