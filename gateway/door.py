"""Where requests for jobs come in, or are turned away before anything else is done for them.

In a flood four of five requests are refused, so a refusal costs next to nothing: no task, no body read, no id
claimed, no log line of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.following import Tell
from gateway.in_flight_limit import InFlightLimit
from gateway.metrics import count_turned_away
from gateway.service import Accepted, Answered
from gateway.turned_away import turned_away
from gateway.turns import Turns
from shared.domain.result import Failed, Succeeded

_PATHS = frozenset({"/invoke", "/submit", "/v1/chat/completions"})


@dataclass(slots=True)
class Door:
    """One gateway process."""

    limit: InFlightLimit
    max_wait_seconds: float
    count: Callable[[], None] = lambda: None
    """Told of everybody who is turned away."""
    turns: Turns = field(default_factory=Turns)
    _turned_away: int = 0

    def guards(self, scope: Mapping[str, Any]) -> bool:
        """Whether this asks for a job."""
        return scope["method"] == "POST" and scope["path"] in _PATHS

    def refuse(self, scope: Mapping[str, Any], *, keeps_connection: bool) -> bytes:
        """The whole answer to one who was not let in."""
        if not self._turned_away:
            logger.bind(in_flight=self.limit.in_flight).warning("turning_away")
        self._turned_away += 1
        count_turned_away(scope["path"])
        self.count()
        seconds = self.turns.next_seconds(self.limit.ends_per_second)
        return turned_away(scope, seconds, self.max_wait_seconds, keeps_connection=keeps_connection)

    def counted(self, app: ASGIApp) -> ASGIApp:
        """`app` for a request that was let in."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                self.limit.leave()
                if self._turned_away and not self.limit.is_limited:
                    self._tell_end()

        return counted

    def learn(self, outcome: Answered | Accepted, began_at: float) -> None:
        """How long a job took that was made for this very request."""
        if isinstance(outcome, Answered) and not (
            outcome.is_replay or outcome.is_joined or outcome.is_cache_hit
        ):
            self.learn_of(outcome.result, began_at)

    def learner(self, outcome: Answered | Accepted, began_at: float) -> Tell | None:
        """Who is to be told of the result of a job that was made for this very request."""
        if isinstance(outcome, Answered) or outcome.is_joined:
            return None
        return lambda result: self.learn_of(result, began_at)

    def learn_of(self, result: Succeeded | Failed, began_at: float) -> None:
        """It ended now. A failure may have waited for its retries."""
        if isinstance(result, Succeeded) and result.attempts == 1 and not result.from_cache:
            self.limit.learn(began_at, result.llm_latency_ms / 1000)

    def _tell_end(self) -> None:
        logger.bind(requests=self._turned_away).warning("turned_away")
        self._turned_away = 0
        self.turns.forget()
