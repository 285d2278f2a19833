"""Images that stand for public ones, where none can be pulled: built on Debian's own packages."""

import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.ground.engine.docker_engine import Engine
from tests.ground.test_compose import SERVICES
from tests.support.containers import KAFKA_IMAGE, REDIS_IMAGE
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.kafka_distribution import cache_folder, make_once

PYTHON_IMAGE = "python:3.11-slim-bookworm"
_FILES = Path(__file__).with_name("stand_ins")
_LOG4J = Path(__file__).parents[2] / "support" / "kafka_log4j2.properties"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def make_stand_ins(engine: Engine) -> None:
    """Under the names that our files use; what is in the cache of the engine is not made again."""
    _make_python(engine)
    _build(engine, "redis", [SERVICES["redis"]["image"], REDIS_IMAGE])
    _build(engine, "kafka", [SERVICES["kafka"]["image"], KAFKA_IMAGE])
    _build(engine, "prometheus", [SERVICES["prometheus"]["image"]])


def _build(engine: Engine, name: str, tags: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for file in _FILES.glob(f"{name}*"):
            shutil.copy(file, context)
        if name == "kafka":
            shutil.copy(_LOG4J, context)
            shutil.copytree(find_kafka_distribution().libs, context / "libs")
        named = [word for tag in dict.fromkeys(tags) for word in ("--tag", tag)]
        engine.docker_run(
            "build", "--network=host", *named, "--file", context / f"{name}.Dockerfile", context
        )


def _make_python(engine: Engine) -> None:
    if engine.docker_run("images", "--quiet", PYTHON_IMAGE).strip():
        return
    archive = cache_folder() / "python-on-bookworm.tar"
    make_once(archive, _bootstrap)
    engine.docker_run("import", archive, PYTHON_IMAGE)


def _bootstrap(archive: Path) -> None:
    """Debian with its own Python where the public image has one, and how pip finds packages here."""
    with tempfile.TemporaryDirectory(prefix="debootstrap-") as folder:
        root = Path(folder) / "root"
        packages = "--include=python3,python3-venv,ca-certificates"
        _run("debootstrap", "--variant=minbase", packages, "bookworm", root)
        for name in ("python", "python3"):
            (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3.11")
        shutil.copy(ssl.get_default_verify_paths().cafile or f"/{_CERTIFICATES}", root / _CERTIFICATES)
        (root / "etc/pip.conf").write_text("\n".join(["[global]", *_pip_settings(), ""]))
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        _run("tar", "--create", "--file", archive, "--directory", root, ".")


def _pip_settings() -> Iterator[str]:
    """This machine's, whether from files or the environment, without folders that only it has."""
    printed = _run(sys.executable, "-m", "pip", "config", "list")
    for line in printed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key == "cert":
            yield f"cert = /{_CERTIFICATES}"
        elif key in {"index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout"}:
            yield f"{key} = {value.strip(chr(39))}"


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
