"""How the processes behaved."""

import statistics
from collections.abc import Iterable

from tests.chaos.evidence import Evidence

_LEAST_SAMPLES = 30
_GROWTH = 1.3
_GROWTH_MIB = 20.0
_OUTAGE_MIB = 60.0
"""What waited for a neighbour is given back to the system late, or never."""


def faults_struck(evidence: Evidence) -> Iterable[str]:
    if not evidence.strikes:
        yield f"the provider never had {evidence.least_in_flight} calls in flight"
    if evidence.expected_complaint and not evidence.complaints[evidence.expected_complaint]:
        yield f"no process logged {evidence.expected_complaint}"
    for strike in evidence.strikes:
        is_idle = strike.victim_in_flight == 0 and evidence.least_in_flight > 0
        if strike.in_flight < evidence.least_in_flight or is_idle:
            yield f"{strike.name}: in flight {strike.in_flight}, of the victim {strike.victim_in_flight}"


def everything_committed(evidence: Evidence) -> Iterable[str]:
    if evidence.uncommitted_records:
        yield f"{evidence.uncommitted_records} records"


def who_leaves_leaves_in_peace(evidence: Evidence) -> Iterable[str]:
    return (f"{strike.name}: exit code {strike.exit_code}" for strike in evidence.strikes if strike.exit_code)


def no_fault_of_ours(evidence: Evidence) -> Iterable[str]:
    return (
        f"{count} x {complaint}"
        for complaint, count in evidence.complaints.items()
        if not complaint.startswith("WARNING") and complaint != evidence.expected_complaint
    )


def memory_is_bounded(evidence: Evidence) -> Iterable[str]:
    """The first third is the load's run up; a process that died young says nothing."""
    was_outage = any(strike.over_at for strike in evidence.strikes)
    allowed_mib = _GROWTH_MIB + (_OUTAGE_MIB if was_outage else 0)
    for name, rss_mib in evidence.rss_mib.items():
        third = len(rss_mib) // 3
        if len(rss_mib) < _LEAST_SAMPLES:
            continue
        before, after = statistics.median(rss_mib[third:-third]), statistics.median(rss_mib[-third:])
        if after > before * _GROWTH + allowed_mib:
            yield f"{name}: {before:.0f} MiB, then {after:.0f} MiB"
