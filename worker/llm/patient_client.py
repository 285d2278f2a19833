"""All that stands between a job and a single call, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.job import Job
from worker.llm.circuit import CircuitRules
from worker.llm.fallback_client import FallbackClient
from worker.llm.gated_client import GatedClient
from worker.llm.holds import Holds
from worker.llm.key_limits import KeyLimits
from worker.llm.provider_circuits import ProviderCircuits
from worker.llm.retrying_client import RetryingClient
from worker.metrics import LIMITED_KEYS, LIMITED_KEYS_CALLS
from worker.ports import LLMClient, PatientLLMClient
from worker.settings import WorkerSettings
from worker.slots import Slots


@dataclass(frozen=True, slots=True)
class Patience:
    """Who asks on behalf of a job, and who says that it had better not begin yet."""

    client: PatientLLMClient
    holds: Holds


def patient(
    inner: LLMClient, settings: WorkerSettings, *, is_for_stand_in: Callable[[Job], bool], slots: Slots
) -> Patience:
    """Fallbacks around the one retry layer, around circuits and limits of keys, around `inner`."""
    rules = CircuitRules(settings.worker_breaker_failures, settings.worker_breaker_seconds)
    circuits = ProviderCircuits(rules, is_for_stand_in=is_for_stand_in)
    keys = KeyLimits(
        settings.openai_api_key,
        most=settings.worker_concurrency,
        pause_seconds=settings.worker_backoff_seconds,
        least=settings.worker_least_key_calls,
    )
    LIMITED_KEYS.set_function(lambda: len(keys.limits))
    LIMITED_KEYS_CALLS.set_function(lambda: sum(keys.limits))
    retrying = RetryingClient(
        GatedClient(inner, circuits, keys, slots),
        slots,
        max_attempts=settings.worker_max_attempts,
        backoff_seconds=settings.worker_backoff_seconds,
        max_backoff_seconds=settings.worker_max_backoff_seconds,
        circuit_seconds=circuits.wait_seconds,
    )
    fallback_models = settings.llm_fallback_models
    client = FallbackClient(retrying, fallback_models) if fallback_models else retrying
    return Patience(client, Holds(circuits, keys, fallback_models))
