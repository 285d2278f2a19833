"""docker-compose.yml, brought up on ports that are free."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ground.engine.docker_engine import Engine
from tests.ground.engine.product_images import SERVICE
from tests.ground.helm_chart import ROOT
from tests.support.ports import free_port

_UP = ("up", "--detach", "--no-build")
_EMPTY = Path(__file__).with_name("__init__.py")
"""What somebody keeps in `.env` here is not for the tests."""


@dataclass(frozen=True)
class ComposeProject:
    engine: Engine
    name: str
    ports: dict[str, int]
    settings: dict[str, str] = field(default_factory=dict)
    """What the shell that calls Compose would have set."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.ports['gateway']}"

    @property
    def network(self) -> str:
        return f"{self.name}_default"

    def compose(self, *words: str) -> str:
        own = ("--project-name", self.name, "--project-directory", str(ROOT), "--env-file", str(_EMPTY))
        command = [*self.engine.compose, *own, "--file", str(ROOT / "docker-compose.yml"), *words]
        variables = {f"{name.upper()}_HOST_PORT": str(port) for name, port in self.ports.items()}
        return self.engine.run([*command], env={**variables, **self.settings}).stdout

    def up(self, *words: str, profile: str = "local-model") -> None:
        self.compose("--profile", profile, *_UP, *words)

    @contextmanager
    def scripted_provider(self) -> Iterator[str]:
        """The tests' own provider in the project's network; yields its base URL."""
        options = ("--detach", f"--network={self.network}", f"--volume={ROOT / 'tests'}:/app/tests:ro")
        command = ("python", "-m", "tests.support.scripted_provider", "--host=0.0.0.0", "--port=9000")
        provider = self.engine.docker_run("run", *options, SERVICE.tag, *command).strip()
        try:
            yield f"http://{provider[:12]}:9000/v1"
        finally:
            self.engine.docker_run("rm", "--force", "--volumes", provider)

    def containers(self, service: str) -> list[str]:
        """The running ones."""
        labels = (f"project={self.name}", f"service={service}")
        wanted = [f"--filter=label=com.docker.compose.{label}" for label in labels]
        return self.engine.docker_run("ps", "--quiet", *wanted).split()


@contextmanager
def compose_project(engine: Engine) -> Iterator[ComposeProject]:
    names = ("gateway", "redis", "kafka", "prometheus", "grafana")
    project = ComposeProject(engine, f"llm-{uuid.uuid4().hex[:8]}", {name: free_port() for name in names})
    try:
        yield project
    finally:
        project.compose(
            "--profile", "local-model", "--profile", "observability", "down", "--volumes", "--timeout", "5"
        )
