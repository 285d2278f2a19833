"""The jars Apache Kafka runs from: a local installation, or Maven Central through `mvn`, kept in a cache.

Three things live in the cache folder, each made once under a lock and put in place by a rename, so that
test runs may start at the same moment: `libs`, the formatted bootstrap checkpoint, and an archive of the
broker's loaded classes, which halves the time a JVM needs to become a broker.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.availability import Unavailable

POM = Path(__file__).with_name("pom.xml")
_FIRST_JAVA = 17


@dataclass(frozen=True)
class KafkaDistribution:
    libs: Path
    source: str
    cache: Path
    java: Path
    java_version: str

    @property
    def version(self) -> str:
        return next(self.libs.glob("kafka-clients-*.jar")).stem.removeprefix("kafka-clients-")

    @property
    def classpath(self) -> str:
        """Spelled out and sorted: a class archive is only valid for the very same class path."""
        return os.pathsep.join(str(jar) for jar in sorted(self.libs.glob("*.jar")))

    @property
    def class_archive(self) -> Path:
        return self.cache / f"broker-java-{self.java_version}.jsa"

    @property
    def bootstrap_checkpoint(self) -> Path:
        return self.cache / "bootstrap.checkpoint"


def local_distribution() -> KafkaDistribution:
    """An installation whose start script is on the PATH; the jars lie beside the script's folder."""
    script = shutil.which("kafka-server-start.sh") or shutil.which("kafka-server-start")
    if not script:
        raise Unavailable("no kafka-server-start.sh on the PATH")
    home = Path(script).resolve().parent.parent
    for libs in (home / "libs", home / "libexec" / "libs"):
        if any(libs.glob("kafka-clients-4*.jar")):
            java, version = _java()
            found = KafkaDistribution(libs, "local", cache_folder() / "kafka-local", java, version)
            found.cache.mkdir(parents=True, exist_ok=True)
            return found
    raise Unavailable("the Kafka installation on the PATH is not 4.x")


def maven_distribution() -> KafkaDistribution:
    """Downloaded once (about 50 MB), then taken from the cache without asking anybody."""
    java, java_version = _java()
    cache = cache_folder() / f"kafka-{_pom_version()}"
    libs = cache / "libs"
    make_once(libs, _download)
    return KafkaDistribution(libs, "Maven", cache, java, java_version)


def cache_folder() -> Path:
    return Path(os.environ.get("LLM_TEST_CACHE") or Path.home() / ".cache" / "llm-microservice")


def make_once(target: Path, make: Callable[[Path], None]) -> None:
    """Calls `make(path)` unless `target` exists; nobody ever sees a half-made one."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as folder:
            draft = Path(folder) / target.name
            make(draft)
            draft.rename(target)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(libs: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise Unavailable("no mvn on the PATH to fetch Apache Kafka with")
    words = ["-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run([maven, *words, f"-DoutputDirectory={libs}"], capture_output=True, check=False)
    if done.returncode or not any(libs.glob("kafka-clients-*.jar")):
        first_line = done.stdout.decode(errors="replace").strip().split("\n")[0]
        raise Unavailable(f"mvn could not fetch Apache Kafka: {first_line[:300]}")


def _pom_version() -> str:
    match = re.search(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text())
    assert match
    return match[1]


def _java() -> tuple[Path, str]:
    java = shutil.which("java")
    if not java:
        raise Unavailable("no java on the PATH for Apache Kafka")
    said = subprocess.run([java, "-version"], capture_output=True, check=False).stderr.decode()
    version = re.search(r'version "((\d+)[^"]*)"', said)
    if not version or int(version[2]) < _FIRST_JAVA:
        raise Unavailable(f"Apache Kafka needs Java {_FIRST_JAVA} or newer")
    return Path(java), version[1]
