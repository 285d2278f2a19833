"""Prometheus and its tool, of Debian's package `prometheus`."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.availability import Unavailable
from tests.support.ports import free_port
from tests.support.processes import start, wait_until


def find_binary(name: str) -> str:
    """Its path; `Unavailable` if Debian's package is not installed."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"no {name}: install Debian's package prometheus")
    return found


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [find_binary("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def query(self, expression: str) -> list[Any]:
        """Samples of an instant query; raises AssertionError with its complaint."""
        answer = self._http.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result = answer["data"]["result"]
        return result if isinstance(result, list) else [result]

    def get(self, path: str) -> Any:
        return self._http.get(path).json()["data"]

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_prometheus(folder: Path, targets: Sequence[str], rules: Path) -> Iterator[Prometheus]:
    """It reads the targets every half second and evaluates the rules every second."""
    binary, port = find_binary("prometheus"), free_port()
    settings: Mapping[str, Any] = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "llm", "static_configs": [{"targets": list(targets)}]}],
    }
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = [
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with start(command, log_path=folder / "prometheus.log", cwd=folder) as child:
        wait_until(child, lambda: "Server is ready" in child.log(), "Server is ready", 60)
        server = Prometheus(f"http://127.0.0.1:{port}")
        try:
            yield server
        finally:
            server.close()


def write_yaml(path: Path, document: object) -> Path:
    """JSON is YAML, and leaves no text to be guessed at."""
    path.write_text(json.dumps(document, indent=1))
    return path
