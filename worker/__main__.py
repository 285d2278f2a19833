"""`python -m worker`: a worker of distributed mode."""

import uvloop
from aiokafka.errors import KafkaError

from shared.adapters.redis_refusal import RedisRefused
from shared.garbage_collector import settle_garbage_collector
from shared.key_file import KeyFile, KeyFileRefused
from shared.settings import load_settings
from shared.settings_check import end_if_checking
from shared.telemetry.logging import configure_logging
from shared.telemetry.tracing import tracing_to
from worker.consumer_faults import consumer_fault
from worker.main import run
from worker.settings import WorkerSettings


def main() -> None:
    """Read the settings and work."""
    end_if_checking(_settings)
    settings = _settings()
    configure_logging("worker", settings.llm_log_level, is_debug=settings.llm_debug)
    settle_garbage_collector()
    service = f"{settings.llm_app_name}-worker"
    try:
        with tracing_to(settings.traces_url(), service, settings.llm_version) as tracing:
            uvloop.run(run(settings, _key_file(settings), tracing))
    except (KafkaError, RedisRefused, OSError) as fault:
        raise SystemExit(f"worker failed: {consumer_fault(fault)}") from None


def _settings() -> WorkerSettings:
    settings = load_settings(WorkerSettings)
    if not settings.kafka_enabled or not settings.redis_enabled:
        raise SystemExit(
            "configuration error: python -m worker takes jobs from Kafka and stores results in Redis: set "
            "KAFKA_ENABLED=true and REDIS_ENABLED=true, or run everything in one process with python main.py"
        )
    if settings.is_keyless() and not (settings.worker_local_model_url or settings.worker_sealing_keys_file):
        raise SystemExit(
            "configuration error: a worker needs OPENAI_API_KEY, or OPENAI_BASE_URL of a server without "
            "keys, or WORKER_LOCAL_MODEL_URL, or WORKER_SEALING_KEYS_FILE to open callers' keys"
        )
    return settings


def _key_file(settings: WorkerSettings) -> KeyFile | None:
    if not settings.worker_sealing_keys_file:
        return None
    try:
        return KeyFile("WORKER_SEALING_KEYS_FILE", settings.worker_sealing_keys_file, is_private=True)
    except KeyFileRefused as refused:
        raise SystemExit(f"configuration error: {refused}") from None


if __name__ == "__main__":
    main()
