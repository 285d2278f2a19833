"""docs/produce.md's way to make keys and to seal with one, run as it stands there."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from shared.key_file import KeyFile
from shared.sealing import open_sealed
from tests.docs.pages import block
from tests.support.service_processes import clean_environment

API_KEY = "sk-CANARY-of-a-producer"


def test_what_the_page_seals_a_worker_opens(tmp_path: Path) -> None:
    # Given the keys that the page's command makes
    _, *arguments = shlex.split(block("bash", "worker.keys generate"))
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=clean_environment(), check=True)
    (public,) = orjson.loads((tmp_path / "sealing-jwks.json").read_bytes())["keys"]
    # When its function seals with the public one
    names: dict[str, Any] = {}
    exec(block("python", "def seal"), names)  # noqa: S102 # the document's own code
    request_id = str(uuid4())
    sealed = names["seal"](API_KEY, request_id, public)
    # Then the private one opens it
    content = open_sealed(sealed, KeyFile("X", str(tmp_path / "sealing-keys.json"), is_private=True).keys())
    assert (content.openai_api_key.get_secret_value(), str(content.request_id)) == (API_KEY, request_id)
    assert content.owner == "public"
