"""What became of facts while Kafka was away, for Prometheus."""

from prometheus_client import Counter, Gauge

EVENTS_SPOOLED = Gauge("llm_events_spooled", "Facts that wait on disk for Kafka")
EVENTS_RESENT = Counter("llm_events_resent", "Facts that were sent after they had waited on disk")
EVENTS_DROPPED = Counter("llm_events_dropped", "Facts that are lost, because disk or memory were full")
