"""What the routes share, made once by the lifespan."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from gateway.adapters import Adapters
from gateway.dependencies import DependencyWatch
from gateway.door import Door
from gateway.following import AnswerFollower
from gateway.preferences import WaitLimits
from gateway.recent import Recent
from gateway.service import JobService
from gateway.settings import GatewaySettings
from gateway.stats import Stats
from gateway.stats_reader import Reading
from gateway.stats_report import StatsReport
from shared.domain.job import ModelDefaults


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
    dependencies: DependencyWatch
    report: StatsReport
    recent_report: Recent[tuple[dict[str, Any], Reading]]


def app_state(request: Request) -> AppState:
    """The state that the lifespan put on the app."""
    state: AppState = request.app.state.gateway
    return state
