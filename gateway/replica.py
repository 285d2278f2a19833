"""What a gateway says of itself."""

from datetime import datetime

from gateway.dependencies import DependencyWatch
from gateway.settings import GatewaySettings
from gateway.waits import Waits
from shared.domain.replica import ReplicaReport, ReplicaState, replica_name


class OwnReport:
    """Made anew whenever it is asked for."""

    def __init__(
        self,
        settings: GatewaySettings,
        waits: Waits,
        dependencies: DependencyWatch,
        started_at: datetime,
        *,
        is_distributed: bool,
    ) -> None:
        self._settings = settings
        self._waits = waits
        self._dependencies = dependencies
        self._started_at = started_at
        self._is_distributed = is_distributed

    def __call__(self) -> ReplicaReport:
        return ReplicaReport(
            kind="gateway" if self._is_distributed else "one process",
            name=replica_name(),
            version=self._settings.llm_version,
            started_at=self._started_at,
            state=self._state(),
            busy=len(self._waits),
            room=self._settings.llm_max_waiters,
        )

    def _state(self) -> ReplicaState:
        if self._waits.is_draining:
            return "leaving"
        is_cut_off = self._is_distributed and not self._dependencies.is_queue_available
        return "no kafka" if is_cut_off else "well"
