"""`python -m gateway`: the gateway of distributed mode."""

from functools import partial

from gateway.key_sealer import KeySealer
from gateway.main import connect, create_app
from gateway.server import serve
from gateway.settings import GatewaySettings
from shared.garbage_collector import settle_garbage_collector
from shared.key_file import KeyFile, KeyFileRefused
from shared.settings import load_settings
from shared.settings_check import end_if_checking
from shared.telemetry.logging import configure_logging
from shared.telemetry.tracing import tracing_to


def main() -> None:
    """Read the settings and serve."""
    end_if_checking(_settings)
    settings = _settings()
    configure_logging("gateway", settings.llm_log_level, is_debug=settings.llm_debug)
    settle_garbage_collector()
    service = f"{settings.llm_app_name}-gateway"
    with tracing_to(settings.traces_url(), service, settings.llm_version) as tracing:
        connecting = partial(connect, sealer=_sealer(settings), tracing=tracing)
        serve(settings, create_app(settings, connecting, tracing))


def _settings() -> GatewaySettings:
    settings = load_settings(GatewaySettings)
    if not settings.kafka_enabled or not settings.redis_enabled:
        raise SystemExit(
            "configuration error: python -m gateway hands jobs to Kafka and finds results in Redis: set "
            "KAFKA_ENABLED=true and REDIS_ENABLED=true, or run everything in one process with python main.py"
        )
    return settings


def _sealer(settings: GatewaySettings) -> KeySealer | None:
    if not settings.llm_sealing_jwks_file:
        return None
    try:
        return KeySealer(KeyFile("LLM_SEALING_JWKS_FILE", settings.llm_sealing_jwks_file, is_private=False))
    except KeyFileRefused as refused:
        raise SystemExit(f"configuration error: {refused}") from None


if __name__ == "__main__":
    main()
