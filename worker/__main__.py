"""`python -m worker`: a worker of distributed mode."""

import uvloop
from aiokafka.errors import KafkaError

from shared.garbage_collector import settle_garbage_collector
from shared.settings import load_settings
from shared.settings_check import end_if_checking
from shared.telemetry.logging import configure_logging
from worker.main import run
from worker.settings import WorkerSettings


def main() -> None:
    """Read the settings and work."""
    end_if_checking(_settings)
    settings = _settings()
    configure_logging("worker", settings.llm_log_level, is_debug=settings.llm_debug)
    settle_garbage_collector()
    try:
        uvloop.run(run(settings))
    except (KafkaError, OSError) as fault:
        raise SystemExit(f"worker failed: {type(fault).__name__}: {fault}") from None


def _settings() -> WorkerSettings:
    settings = load_settings(WorkerSettings)
    if not settings.kafka_enabled or not settings.redis_enabled:
        raise SystemExit(
            "configuration error: python -m worker takes jobs from Kafka and stores results in Redis: set "
            "KAFKA_ENABLED=true and REDIS_ENABLED=true, or run everything in one process with python main.py"
        )
    if not settings.openai_api_key.get_secret_value() and not settings.openai_base_url:
        raise SystemExit(
            "configuration error: a worker needs OPENAI_API_KEY, or OPENAI_BASE_URL of a server without keys"
        )
    return settings


if __name__ == "__main__":
    main()
