"""The worker's figures for Prometheus."""

from prometheus_client import Counter

POSSIBLE_DUPLICATE_CALLS = Counter(
    "llm_possible_duplicate_calls", "Results that say the provider may have charged their job twice"
)
