"""The circuits of the provider: one of its own, and one of each model there, because models fail apart."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from shared.domain.job import Job
from shared.domain.totals import model_label
from worker.llm.circuit import Circuit, CircuitRules
from worker.llm.local_model import LOCAL_MODEL
from worker.metrics import BREAKER_OPEN, BREAKER_OPENS
from worker.ports import CircuitOpen, LLMError, OutcomeUnknown, Unavailable

_PROVIDER, _LOCAL = "provider", "local"


@dataclass(frozen=True, slots=True)
class CircuitPass:
    """The way of one call; it wants to hear what the call came to."""

    provider: Circuit
    model: Circuit
    generations: tuple[int, int]

    def succeed(self) -> None:
        self._leave(has_no_provider=False, has_no_model=False)

    def fail(self, fault: LLMError) -> None:
        """No connection speaks against the provider, 5xx against the model; 429 and 4xx are answers."""
        if isinstance(fault, OutcomeUnknown) or not fault.attempts:
            self.give_back()
        elif isinstance(fault, Unavailable) and fault.blames == "provider":
            self._leave(has_no_provider=True, has_no_model=None)
        else:
            is_blamed = isinstance(fault, Unavailable) and fault.blames == "model"
            self._leave(has_no_provider=False, has_no_model=is_blamed)

    def give_back(self) -> None:
        """Nobody knows: the call was cut off, or never went out."""
        self._leave(has_no_provider=None, has_no_model=None)

    def _leave(self, *, has_no_provider: bool | None, has_no_model: bool | None) -> None:
        of_provider, of_model = self.generations
        self.provider.leave(of_provider, has_no_provider)
        self.model.leave(of_model, has_no_model)


class ProviderCircuits:
    """Which calls may go out now; known to this process alone."""

    def __init__(
        self,
        rules: CircuitRules,
        *,
        is_for_stand_in: Callable[[Job], bool] = lambda _: False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._is_for_stand_in = is_for_stand_in
        self._now = now
        self._providers = {name: self._circuit(name) for name in (_PROVIDER, _LOCAL)}
        self._models: dict[str, Circuit] = {}
        self._broken: set[Circuit] = set()

    @property
    def are_closed(self) -> bool:
        """All of them: nobody has to wait."""
        return not self._broken

    def wait_seconds(self, job: Job) -> float:
        """Until a call of this job may go out; 0: now."""
        if not self._broken:
            return 0.0
        return max(circuit.wait_seconds() for circuit in self._way(job))

    def enter(self, job: Job) -> CircuitPass:
        """A call goes out, or `CircuitOpen` says that it must not."""
        if self._broken and (seconds := self.wait_seconds(job)):
            raise CircuitOpen("The provider has failed too often just now; nothing was asked", seconds)
        provider, model = self._way(job)
        return CircuitPass(provider, model, (provider.enter(), model.enter()))

    def _way(self, job: Job) -> tuple[Circuit, Circuit]:
        name = LOCAL_MODEL if self._is_for_stand_in(job) else job.model
        model = self._models.get(name)
        if model is None:
            label = model_label(name)  # callers choose the names: beyond some hundred they are one
            model = self._models.get(label)
            if model is None:
                model = self._models[label] = self._circuit(label)
        return self._providers[_LOCAL if name == LOCAL_MODEL else _PROVIDER], model

    def _circuit(self, name: str) -> Circuit:
        return Circuit(self._rules, self._now, lambda circuit: self._note(name, circuit))

    def _note(self, name: str, circuit: Circuit) -> None:
        if circuit.is_closed:
            self._broken.discard(circuit)
            logger.bind(circuit=name).info("circuit_closed")
        else:
            self._broken.add(circuit)
            BREAKER_OPENS.labels(name).inc()
            logger.bind(circuit=name, seconds=self._rules.open_seconds).warning("circuit_opened")
        BREAKER_OPEN.labels(name).set(not circuit.is_closed)
