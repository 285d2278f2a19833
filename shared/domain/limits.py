"""What an owner may use, what a job may use of it, and what is said when there is no room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.domain.errors import ErrorCode, JobError, job_error

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400
NANO = 1_000_000_000
_REQUESTS, _TOKENS = "requests_per_minute", "tokens_per_minute"
_IN_FLIGHT, _DOLLARS = "jobs_in_flight", "dollars_per_day"
_SOON_SECONDS = 2.0
"""Until a running job may have ended: nobody can know."""


class Limits(BaseModel):
    """What one owner may use; 0: as much as it likes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    tokens_per_minute: Annotated[int, Field(ge=0, le=10**12)] = 0
    jobs_in_flight: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    dollars_per_day: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 0.0

    @property
    def nano_dollars_per_day(self) -> int:
        return round(self.dollars_per_day * NANO)


@dataclass(frozen=True, slots=True)
class LimitTable:
    """The limits of every owner: those of its name over the default."""

    default: Limits = field(default_factory=Limits)
    of_owner: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, owner: str) -> Limits | None:
        """None: no limit at all."""
        limits = self.of_owner.get(owner, self.default)
        return limits if limits != _NONE else None

    def is_empty(self) -> bool:
        return all(limits == _NONE for limits in (self.default, *self.of_owner.values()))


@dataclass(frozen=True, slots=True)
class Demand:
    """The most that a job is expected to use, until the real figures are known."""

    tokens: int = 0
    nano_dollars: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job used; None: not known, so what was reserved for it counts."""

    tokens: int | None
    nano_dollars: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an owner uses now; with the job that asked, if it was admitted."""

    requests: int
    tokens: int
    in_flight: int
    nano_dollars: int
    """Spent today and reserved."""
    nano_dollars_spent: int
    request_leaves_seconds: float
    """Until the oldest request has left the minute; 0: there is none."""
    tokens_leave_seconds: float
    """Until the tokens that were asked for can be free; 0 if they are."""
    day_ends_seconds: float


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit that leaves no room."""

    limit: str
    allowed: int
    used: int
    frees_in_seconds: float


def shortages(limits: Limits, demand: Demand, standing: Standing) -> list[Shortage]:
    """What a job would exceed, given what was used before it came."""
    is_spent = standing.nano_dollars_spent + demand.nano_dollars > limits.nano_dollars_per_day
    rows = (
        (_REQUESTS, limits.requests_per_minute, standing.requests, 1, standing.request_leaves_seconds),
        (_TOKENS, limits.tokens_per_minute, standing.tokens, demand.tokens, standing.tokens_leave_seconds),
        (_IN_FLIGHT, limits.jobs_in_flight, standing.in_flight, 1, _SOON_SECONDS),
        (
            _DOLLARS,
            limits.nano_dollars_per_day,
            standing.nano_dollars,
            demand.nano_dollars,
            standing.day_ends_seconds if is_spent else _SOON_SECONDS,
        ),
    )
    return [
        Shortage(limit, allowed, used, seconds)
        for limit, allowed, used, more, seconds in rows
        if allowed and used + more > allowed
    ]


def limit_exceeded(short: list[Shortage], demand: Demand) -> JobError:
    """The error of a job that must wait, with the longest of its waits."""
    worst = max(short, key=lambda shortage: shortage.frees_in_seconds)
    seconds = round(max(0.001, worst.frees_in_seconds), 3)
    allowed, used = _shown(worst.limit, worst.allowed), _shown(worst.limit, worst.used)
    return job_error(
        ErrorCode.LIMIT_EXCEEDED,
        f"{worst.limit}: {used:g} of {allowed:g} are in use{_asked(worst.limit, demand)}; "
        f"try again in {seconds:g} s",
        details={"limit": worst.limit, "allowed": allowed, "used": used, "retry_after_seconds": seconds},
    )


def above_limit(limits: Limits, demand: Demand) -> JobError | None:
    """The error of a job that no amount of waiting would let in."""
    for limit, most, asked in (
        (_TOKENS, limits.tokens_per_minute, demand.tokens),
        (_DOLLARS, limits.nano_dollars_per_day, demand.nano_dollars),
    ):
        if most and asked > most:
            allowed = _shown(limit, most)
            return job_error(
                ErrorCode.ABOVE_LIMIT,
                f"{limit}: {allowed:g} are allowed{_asked(limit, demand)}; "
                "send a shorter prompt or a smaller max_tokens",
                field="max_tokens",
                details={"limit": limit, "allowed": allowed},
            )
    return None


def _shown(limit: str, amount: int) -> float:
    return amount / NANO if limit == _DOLLARS else amount


def _asked(limit: str, demand: Demand) -> str:
    if limit == _TOKENS:
        return f", and this request may use up to {demand.tokens}"
    if limit == _DOLLARS:
        return f", and this request may cost up to {demand.nano_dollars / NANO:g}"
    return ""


_NONE = Limits()
_OVERRIDES: TypeAdapter[dict[str, Limits]] = TypeAdapter(dict[str, Limits])


def parse_limits(text: str, default: Limits) -> dict[str, Limits]:
    """`{"billing": {"requests_per_minute": 100}}`; what a client leaves out is the default's.

    `ValueError` names what is wrong.
    """
    try:
        given = _OVERRIDES.validate_json(text or "{}", strict=True)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        where = ".".join(map(str, error["loc"]))
        problem = f"{where}: {error['msg']}" if where else error["msg"]
        raise ValueError(problem) from None
    return {
        name: default.model_copy(update=limits.model_dump(exclude_unset=True))
        for name, limits in given.items()
    }
