"""First counters of one gateway process."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.service import Accepted, Answered
from shared.domain.errors import ErrorCode
from shared.domain.result import Failed
from shared.domain.timestamps import rfc3339


@dataclass
class Stats:
    """Counts since start; a replay spends no tokens."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    cached: int = 0
    latency_ms_total: float = 0.0

    def count_outcome(self, outcome: Answered | Accepted, latency_ms: float) -> None:
        """One answered or accepted submission."""
        if isinstance(outcome, Accepted):
            self.outcomes["accepted"] += 1
            return
        result = outcome.result
        self.latency_ms_total += latency_ms
        self.outcomes["replayed" if outcome.is_replay else result.status] += 1
        if isinstance(result, Failed):
            self.errors[result.error.error_code] += 1
        elif result.from_cache:
            self.cached += 1
        elif result.usage is not None and not outcome.is_replay:
            self.tokens["prompt_tokens"] += result.usage.prompt_tokens
            self.tokens["completion_tokens"] += result.usage.completion_tokens
        if not outcome.is_replay:
            self.retries += result.retry_count

    def count_refusal(self, code: ErrorCode) -> None:
        """One request that never became a job."""
        self.outcomes["refused"] += 1
        self.errors[code] += 1

    def body(self, *, waiting: int) -> dict[str, Any]:
        """The answer of `/stats`."""
        answered = sum(self.outcomes[name] for name in ("succeeded", "failed", "expired", "replayed"))
        hits = self.outcomes["replayed"] + self.cached
        return {
            "since": rfc3339(self.started_at),
            "requests": {
                "total": sum(self.outcomes.values()),
                **{name: self.outcomes[name] for name in _OUTCOMES},
            },
            "cache": {"hits": hits, "misses": answered - hits},
            "tokens": {name: self.tokens[name] for name in ("prompt_tokens", "completion_tokens")},
            "latency_ms_mean": round(self.latency_ms_total / answered, 3) if answered else None,
            "retries": self.retries,
            "errors": {str(code): count for code, count in self.errors.items()},
            "waiting": waiting,
        }


_OUTCOMES = ("succeeded", "failed", "expired", "replayed", "accepted", "refused")
