"""The campaigns in which the provider misbehaves; about a minute each, long or short."""

from dataclasses import replace

from tests.chaos import provider_faults
from tests.chaos.scene import Plan

# Attempts that outlast the fault, and silence that is over before it.
_SETTINGS = {
    "WORKER_MAX_ATTEMPTS": "50",
    "WORKER_MAX_BACKOFF_SECONDS": "4",
    "WORKER_READ_TIMEOUT_SECONDS": "6",
    "WORKER_MAX_ANSWER_BYTES": "1048576",
}

_STORM = Plan(
    "provider answers 429 for 10 s",
    provider_faults.storm,
    jobs=1500,
    a_second=60,
    latency_ms=(1000, 4000),
    in_flight=100,
    settings=_SETTINGS,
)

PROVIDER_PLANS = {
    "storm": _STORM,
    "5xx": replace(_STORM, fault="provider answers 5xx for 10 s", strike=provider_faults.server_errors),
    "stall": replace(_STORM, fault="provider stalls for 10 s", strike=provider_faults.stall),
    "cut": replace(_STORM, fault="provider cuts its answers for 10 s", strike=provider_faults.cut),
    "malformed": replace(
        _STORM, fault="provider answers nonsense for 10 s", strike=provider_faults.malformed
    ),
    "endless": replace(_STORM, fault="provider does not stop for 10 s", strike=provider_faults.endless),
}
