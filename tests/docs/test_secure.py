"""docs/secure.md's way to a token, run as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import orjson
import yaml

from tests.docs.pages import ROOT, block
from tests.docs.test_call import curl
from tests.support.service_processes import clean_environment, one_process

_TOKEN, _ENTRY = r"llmgw_\w+\.\.\.", r"team-a=\w+\.\.\."


def test_a_token_is_made_and_asked_for(tmp_path: Path) -> None:
    # Given a token, and the settings that the page writes
    make, *write, _, ask = block("bash", "gateway.tokens new").splitlines()
    command = [sys.executable, *shlex.split(make, comments=True)[1:]]
    token, entry = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    written = [re.sub(_ENTRY, entry, line) for line in write]
    subprocess.run(["bash", "-ec", "\n".join(written)], cwd=tmp_path, check=True)
    # When the service starts anew
    with one_process(tmp_path, REDIS_ENABLED="false") as service:
        asked = ask.replace("localhost:8000", service.url)
        # Then it answers that token, and no other
        assert orjson.loads(curl(re.sub(_TOKEN, token, asked)))["verdict"]
        assert orjson.loads(curl(asked))["error"]["error_code"] == "UNAUTHORIZED"


def test_prometheus_is_given_its_token_as_it_reads_one() -> None:
    settings = (ROOT / "helm/observability/prometheus.yml").read_text()
    added = block("yaml", "credentials")
    [gateway, _] = yaml.safe_load(
        settings.replace("  - job_name: gateway\n", f"  - job_name: gateway\n{added}")
    )["scrape_configs"]
    assert gateway["job_name"] == "gateway"
    assert gateway["authorization"]["credentials"].startswith("llmgw_")
