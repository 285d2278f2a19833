"""A fault, at the moment it hit."""

from dataclasses import dataclass

from tests.support.provider_ledger import Call


@dataclass(frozen=True)
class Departure:
    """A worker that was told to leave."""

    at: float
    key_ending: str


@dataclass(frozen=True)
class Strike:
    """What a fault did, and to whom."""

    at: float
    in_flight: int
    """Calls that the provider was working on."""
    victim_in_flight: int | None = None
    """Those of them that the victim had made, if it was a worker."""
    victim_key: str | None = None
    """Set if a job that ran on the victim may be called again."""
    begun_uncalled: frozenset[str] = frozenset()
    """Request ids that were running, and whose call had not reached the provider: to the next owner such a
    job looks like one that was called, so its result is flagged without a second call."""
    over_at: float = 0.0
    """Until then nobody could be told a result."""
    exit_code: int | None = None
    """Of a victim that was asked to leave; of several the first that is not 0."""
    departures: tuple[Departure, ...] = ()
    cuts_calls: bool = False
    """Set if calls between `at` and `over_at` may lose their answer on the way."""
    store_is_away: bool = False
    """Set if workers could not ask Redis between `at` and `over_at` whether a job had run before."""
    name: str = ""

    def cuts(self, call: Call) -> bool:
        """Whether the answer to `call` may have been lost."""
        is_over = call.ended_at and call.ended_at < self.at
        return self.cuts_calls and call.arrived_at < self.over_at and not is_over
