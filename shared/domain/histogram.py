"""Durations as counts in buckets: sums of buckets are the histogram of all, so percentiles can be merged.

The buckets are DDSketch's (Masson, Rim, Lee: "DDSketch", PVLDB 12(12), 2019).
"""

from collections.abc import Mapping
from math import ceil, log

from ddsketch.mapping import LogarithmicMapping

RELATIVE_ACCURACY = 0.01
_MAPPING = LogarithmicMapping(RELATIVE_ACCURACY)
_BUCKETS_A_DOUBLING = 1 / log(_MAPPING.gamma, 2)
_SHORTEST_MS = 0.001


def bucket_of(duration_ms: float) -> int:
    """The bucket that counts this duration; what is shorter than a microsecond counts as one.

    The mapping's own `key`, without its three calls: it is asked three times a job.
    """
    return ceil(log(duration_ms if duration_ms > _SHORTEST_MS else _SHORTEST_MS, 2) * _BUCKETS_A_DOUBLING)


def percentile_ms(counts: Mapping[int, int], percent: float) -> float | None:
    """The duration that `percent` of them do not exceed, to `RELATIVE_ACCURACY`; None of nothing."""
    rank = (sum(counts.values()) - 1) * percent / 100
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed > rank:
            return round(_MAPPING.value(bucket), 3)
    return None
