"""Images that stand for public ones, where none can be pulled: built on Debian's own packages."""

import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.ground.engine.docker_engine import Engine
from tests.ground.test_compose import SERVICES
from tests.support.containers import KAFKA_IMAGE, REDIS_IMAGE
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.kafka_distribution import cache_folder, make_once

PYTHON_IMAGE = "python:3.11-slim-bookworm"
_DEBIAN = "bookworm-with-python"
_LAPTOP = "laptop-of-a-new-user"
_PIP_SETTINGS = ("cert", "index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout")
_FILES = Path(__file__).with_name("stand_ins")
_LOG4J = Path(__file__).parents[2] / "support" / "kafka_log4j2.properties"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def make_stand_ins(engine: Engine) -> None:
    """Under the names that our files use; what is in the cache of the engine is not made again."""
    _import_debian(engine)
    _build(engine, "python", [PYTHON_IMAGE])
    _build(engine, "redis", [SERVICES["redis"]["image"], REDIS_IMAGE])
    _build(engine, "kafka", [SERVICES["kafka"]["image"], KAFKA_IMAGE])


def make_prometheus(engine: Engine) -> None:
    """Apart: it is large, and one test needs it."""
    _build(engine, "prometheus", [SERVICES["prometheus"]["image"]])


def make_laptop(engine: Engine, packages: str) -> str:
    """The image of a machine with these packages, and nothing of ours."""
    _build(engine, "laptop", [_LAPTOP], f"--build-arg=PACKAGES={packages}")
    return _LAPTOP


def _build(engine: Engine, name: str, tags: list[str], *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for file in _FILES.glob(f"{name}*"):
            shutil.copy(file, context)
        if name == "python":
            certificates = ssl.get_default_verify_paths().cafile or f"/{_CERTIFICATES}"
            shutil.copy(certificates, context / Path(_CERTIFICATES).name)
            (context / "pip.conf").write_text("\n".join(["[global]", *_pip_settings(), ""]))
        if name == "kafka":
            shutil.copy(_LOG4J, context)
            shutil.copytree(find_kafka_distribution().libs, context / "libs")
        named = [word for tag in dict.fromkeys(tags) for word in ("--tag", tag)]
        engine.docker_run(
            "build", "--network=host", *options, *named, "--file", context / f"{name}.Dockerfile", context
        )


def _import_debian(engine: Engine) -> None:
    if engine.docker_run("images", "--quiet", _DEBIAN).strip():
        return
    archive = cache_folder() / "bookworm-with-python.tar"
    make_once(archive, _bootstrap)
    engine.docker_run("import", archive, _DEBIAN)


def _bootstrap(archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="debootstrap-") as folder:
        root = Path(folder) / "root"
        packages = "--include=python3,python3-venv,ca-certificates"
        _run("debootstrap", "--variant=minbase", packages, "bookworm", root)
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        _run("tar", "--create", "--file", archive, "--directory", root, ".")


def _pip_settings() -> list[str]:
    """This machine's, whether from files or the environment, without folders that only it has."""
    found: dict[str, str] = {}
    for line in _run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = value.strip("'")
    if "cert" in found:
        found["cert"] = f"/{_CERTIFICATES}"
    return [f"{name} = {found[name]}" for name in _PIP_SETTINGS if name in found]


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
