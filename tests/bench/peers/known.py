"""The peers: how each is installed, started before the bench's provider, and asked."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.bench.peers.installing import environment_folder, environment_python, install_environment
from tests.bench.servers import HOST, ROOT, Brokers
from tests.support.kafka_distribution import cache_folder
from tests.support.npm_packages import NODE, node_modules

_LITELLM = "litellm-1.106.2"
_PORTKEY = "@portkey-ai/gateway@1.15.2"
_TENSORZERO = "tensorzero-2026.6.0"
_KEY = f"sk-{uuid4().hex}{uuid4().hex}"  # LiteLLM does not start with a weak one


@dataclass(frozen=True)
class Place:
    """Where a peer of this run lives."""

    port: int
    provider_url: str
    folder: Path
    brokers: Brokers
    topic: str


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_line: str = ""
    """Empty: it is ready when it answers."""


@dataclass(frozen=True)
class Peer:
    name: str
    version: str
    is_installed: Callable[[], bool]
    install: Callable[[], object]
    commands: Callable[[Place], list[Command]]
    can_rest: bool = True
    headers: Callable[[Place], tuple[str, ...]] = lambda _: (f"authorization: Bearer {_KEY}",)


def _litellm_commands(place: Place) -> list[Command]:
    config = place.folder / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: gpt-4o-mini\n    litellm_params: {model: openai/gpt-4o-mini, "
        f"api_base: '{place.provider_url}', api_key: {_KEY}}}\n"
        "litellm_settings: {set_verbose: false, num_retries: 0, telemetry: false}\n"
    )
    start = "from litellm import run_server; run_server()"
    options = ["--config", str(config), "--host", HOST, "--port", f"{place.port}", "--num_workers", "1"]
    words = (str(environment_python(_LITELLM)), "-c", start, *options, "--telemetry", "False")
    return [
        Command(
            words,
            {
                "LITELLM_MASTER_KEY": _KEY,
                "LITELLM_MODE": "PRODUCTION",
                "LITELLM_LOG": "ERROR",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
        )
    ]


def _portkey_commands(place: Place) -> list[Command]:
    script = node_modules(_PORTKEY) / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return [Command((str(NODE), str(script), f"--port={place.port}", "--headless"))]


def _portkey_headers(place: Place) -> tuple[str, ...]:
    return (
        f"authorization: Bearer {_KEY}",
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: {place.provider_url}",
    )


def _sketch_commands(place: Place) -> list[Command]:
    environment = {
        "SKETCH_KAFKA": place.brokers.kafka.bootstrap_servers,
        "SKETCH_REDIS": place.brokers.redis.url,
        "SKETCH_TOPIC": place.topic,
        "SKETCH_PROVIDER": place.provider_url,
        "SKETCH_PORT": f"{place.port}",
        "PYTHONPATH": f"{ROOT}",
    }
    words = (sys.executable, "-m", "tests.bench.peers.sketch")
    return [
        Command((*words, "worker"), environment, ready_line="sketch_worker_ready"),
        Command((*words, "gateway"), environment),
    ]


def _tensorzero_commands(place: Place) -> list[Command]:
    config = place.folder / "tensorzero.toml"
    config.write_text(
        '[gateway]\nobservability.enabled = false\n[models.gpt-4o-mini]\nrouting = ["openai"]\n'
        '[models.gpt-4o-mini.providers.openai]\ntype = "openai"\nmodel_name = "gpt-4o-mini"\n'
        f'api_base = "{place.provider_url}/"\napi_key_location = "env::OPENAI_API_KEY"\n'
    )
    options = ["--host", HOST, "--port", f"{place.port}", "--no-access-log", "--log-level", "error"]
    words = (
        str(environment_python(_TENSORZERO)),
        "-m",
        "uvicorn",
        "tests.bench.peers.tensorzero_app:app",
        *options,
    )
    environment = {
        "TENSORZERO_CONFIG": str(config),
        "OPENAI_API_KEY": _KEY,
        "PYTHONPATH": f"{ROOT}",
        "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1",
    }
    return [Command(words, environment)]


PEERS: Mapping[str, Peer] = {
    "litellm": Peer(
        "litellm",
        "LiteLLM proxy 1.106.2",
        lambda: environment_folder(_LITELLM).exists(),
        # Without the two beside it, each request tries a failing import again, and its HTTP is the slow one.
        lambda: install_environment(
            _LITELLM,
            ("litellm[proxy]==1.106.2", "opentelemetry-sdk", "opentelemetry-exporter-otlp", "httptools"),
        ),
        _litellm_commands,
    ),
    "portkey": Peer(
        "portkey",
        "Portkey gateway 1.15.2",
        (cache_folder() / "npm-portkey-ai-gateway-1.15.2").exists,
        lambda: node_modules(_PORTKEY),
        _portkey_commands,
        headers=_portkey_headers,
    ),
    "tensorzero": Peer(
        "tensorzero",
        "TensorZero 2026.6.0 embedded in FastAPI",
        lambda: environment_folder(_TENSORZERO).exists(),
        lambda: install_environment(
            _TENSORZERO, ("tensorzero==2026.6.0", "fastapi", "uvicorn[standard]", "orjson")
        ),
        _tensorzero_commands,
    ),
    "sketch": Peer(
        "sketch", "the bare sketch of our path", lambda: True, lambda: None, _sketch_commands, can_rest=False
    ),
}
