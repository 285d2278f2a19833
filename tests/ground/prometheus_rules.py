"""Rules as Prometheus reads them."""

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.conftest import missing
from tests.ground.helm_chart import documents


def promtool(rendered: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What promtool says of the rules in a rendering."""
    program = shutil.which("promtool")
    if not program:
        missing("no promtool on the PATH (Debian's package prometheus)")
    [rule] = [each for each in documents(rendered) if each["kind"] == "PrometheusRule"]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    return subprocess.run(
        [program, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
