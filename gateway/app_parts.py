"""What the routes share, made of settings and adapters."""

from gateway.adapters import Adapters
from gateway.app_state import AppState
from gateway.cached_answers import CachedAnswers
from gateway.dependencies import DependencyWatch
from gateway.door import Door
from gateway.following import AnswerFollower
from gateway.metrics import IN_FLIGHT, IN_FLIGHT_LIMIT, WAITING
from gateway.preferences import WaitLimits
from gateway.recent import Recent
from gateway.replica import OwnReport
from gateway.service import JobService
from gateway.settings import GatewaySettings
from gateway.stats import Stats
from gateway.stats_reader import StatsReader
from gateway.stats_report import StatsReport
from gateway.turned_away import CODE
from gateway.waits import Waits
from shared.telemetry.process_metrics import BUILD


def make_state(settings: GatewaySettings, adapters: Adapters, door: Door) -> AppState:
    """One gateway process, about to begin."""
    store, queue = adapters.store, adapters.queue
    waits, own = Waits(settings.llm_max_waiters), Stats(store)
    answers = CachedAnswers(adapters.cache, settings.cache_policy())
    dependencies = DependencyWatch(store, queue, _needed(settings, adapters))
    report = StatsReport(settings, adapters, waits, own, StatsReader(store), dependencies)
    door.count = lambda: own.count_refusal(CODE)
    return AppState(
        settings=settings,
        adapters=adapters,
        service=JobService(store, queue, waits, limits=adapters.limits, answers=answers),
        door=door,
        follower=AnswerFollower(store, adapters.streams, waits),
        defaults=settings.model_defaults(),
        wait_limits=WaitLimits(settings.llm_default_wait_seconds, settings.llm_max_wait_seconds),
        stats=own,
        dependencies=dependencies,
        report=report,
        recent_report=Recent(report.make),
    )


def show_state(state: AppState) -> None:
    """To Prometheus, from now on."""
    WAITING.set_function(lambda: len(state.service.waits))
    IN_FLIGHT.set_function(lambda: state.door.limit.in_flight)
    IN_FLIGHT_LIMIT.set_function(lambda: state.door.limit.limit)
    component = "gateway" if state.adapters.is_distributed else "one_process"
    BUILD.labels(component, state.settings.llm_version).set(1)


def own_report(state: AppState) -> OwnReport:
    """What this process tells the others."""
    return OwnReport(
        state.settings,
        state.service.waits,
        state.dependencies,
        state.stats.started_at,
        is_distributed=state.adapters.is_distributed,
    )


def _needed(settings: GatewaySettings, adapters: Adapters) -> set[str]:
    """What this process cannot do its work without, as Prometheus is told."""
    needed = {"redis": settings.redis_enabled, "kafka": adapters.is_distributed}
    return {name for name, is_needed in needed.items() if is_needed}
