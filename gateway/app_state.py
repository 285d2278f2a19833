"""What the routes share, made once by the lifespan."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from gateway.door import Door
from gateway.following import AnswerFollower
from gateway.key_sealer import KeySealer
from gateway.ports import JobQueue
from gateway.preferences import WaitLimits
from gateway.queue_gauge import QueueGauge
from gateway.recent import Recent
from gateway.service import JobService
from gateway.settings import GatewaySettings
from gateway.stats import Stats
from gateway.stats_reader import Reading
from gateway.stats_report import StatsReport
from shared.domain.job import ModelDefaults
from shared.limits import JobLimits
from shared.ports import Replicas, ResponseCache, ResultStore, StreamReader


@dataclass(frozen=True, slots=True)
class Adapters:
    """The world outside, as `connect` hands it over."""

    store: ResultStore
    queue: JobQueue
    streams: StreamReader
    cache: ResponseCache
    replicas: Replicas
    mode: str
    """How jobs travel: "one process" or "distributed"."""
    accepts_caller_keys: bool
    """Whether a caller's key can reach the provider call without travelling in the clear."""
    sealer: KeySealer | None = None
    """With what callers' keys are sealed to the workers."""
    gauge: QueueGauge | None = None
    """How long a new job would wait."""
    limits: JobLimits | None = None
    """None: nobody has any."""


@dataclass(frozen=True, slots=True)
class AppState:
    """One gateway process."""

    settings: GatewaySettings
    adapters: Adapters
    service: JobService
    door: Door
    follower: AnswerFollower
    defaults: ModelDefaults
    wait_limits: WaitLimits
    stats: Stats
    report: StatsReport
    recent_report: Recent[tuple[dict[str, Any], Reading]]


def app_state(request: Request) -> AppState:
    """The state that the lifespan put on the app."""
    state: AppState = request.app.state.gateway
    return state
