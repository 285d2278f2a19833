"""What a worker says of itself."""

import asyncio
from datetime import UTC, datetime

from shared.domain.replica import ReplicaReport, ReplicaState, replica_name
from worker.load_report import LoadReport
from worker.run_meter import RunMeter
from worker.settings import WorkerSettings


class OwnReport:
    """Made anew whenever it is asked for."""

    def __init__(
        self, settings: WorkerSettings, meter: RunMeter, load: LoadReport, stop: asyncio.Event
    ) -> None:
        self._settings = settings
        self._meter = meter
        self._load = load
        self._stop = stop
        self._started_at = datetime.now(UTC)

    def __call__(self) -> ReplicaReport:
        return ReplicaReport(
            kind="worker",
            name=replica_name(),
            version=self._settings.llm_version,
            started_at=self._started_at,
            state=self._state(),
            busy=self._meter.running,
            room=self._settings.worker_concurrency,
        )

    def _state(self) -> ReplicaState:
        if self._stop.is_set():
            return "leaving"
        return "no kafka" if self._load.is_cut_off else "well"
