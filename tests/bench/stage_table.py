"""Which stage of a request a function belongs to: the table behind the budget of CPU.

A sampled stack is read from the innermost frame outwards; the first frame that stands here decides. A name is
a package or module (`aiokafka.producer`), or a function or class of one (`gateway.routes.invoke:_job`), and
the narrowest name wins. What no name catches is the `event loop` if that is all
there is, else `other`.
"""

from collections.abc import Mapping

COLLECTOR = "garbage collector"
EVENT_LOOP = "event loop"
OTHER = "other"

Names = tuple[str, ...]

MEANINGS: Mapping[str, str] = {
    "http": "uvicorn, Starlette, FastAPI, routing, our middleware",
    "validate": "body to job: parse, check, fingerprint",
    "claim": "reserve the id in Redis, with the look into the response cache",
    "produce": "job to record, and to Kafka",
    "notify": "the word that the result is there, and the waiting for it",
    "answer": "result to body",
    "observe": "log line, metrics, statistics",
    "consume": "from Kafka, record to job, the window of running jobs",
    "begin": "take the run: lease and shared calls",
    "call": "payload, HTTP to the provider, answer to message",
    "save": "result to bytes, and the limits",
    "begin + save": "their Redis scripts, which share round trips",
    "copy": "result and events as Kafka records",
    COLLECTOR: "wherever it interrupts",
    EVENT_LOOP: "the loop itself: reading sockets, calling back",
    OTHER: "futures and streams between the above, background tasks",
}

GATEWAY: Mapping[str, Names] = {
    "http": (
        "uvicorn.protocols",
        "uvicorn.middleware",
        "starlette",
        "fastapi",
        "gateway.middleware",
        "gateway.http_protocol",
        "gateway.door",
        "gateway.in_flight_limit",
        "gateway.wait_window",
        "gateway.access",
        "gateway.routes",
    ),
    "validate": (
        "gateway.routes.invoke:_job",
        "gateway.chat.body",
        "gateway.media_type",
        "gateway.preferences",
        "gateway.priority",
        "gateway.caller_key",
        "gateway.cache_control",
        "shared.domain.validation",
        "shared.domain.invoke_body",
        "shared.domain.job",
    ),
    "claim": (
        "gateway.service",
        "gateway.cached_answers",
        "shared.domain.caching",
        "shared.adapters.redis_response_cache",
        "shared.adapters.redis_batches",
        "shared.adapters.redis_script",
        "shared.adapters.redis_result_store",
        "shared.adapters.fallback_result_store",
        "redis.asyncio.connection:AbstractConnection._send_packed_command",
    ),
    "produce": (
        "gateway.queue",
        "gateway.queue_gauge",
        "shared.wire",
        "shared.adapters.kafka_producer",
        "aiokafka",
    ),
    "notify": (
        "gateway.waits",
        "gateway.caller",
        "gateway.results_tail",
        "gateway.service:JobService._wait",
        "gateway.service:JobService._wait_or_accept",
        "shared.adapters.result_watches",
        "shared.adapters.redis_result_store:RedisResultStore._listen",
        "shared.adapters.fallback_result_store:_EitherWatch",
        "shared.domain.result",
    ),
    "answer": (
        "gateway.routes.answers",
        "gateway.chat.answers",
        "gateway.error_responses",
        "gateway.sent_answer",
        "gateway.limit_headers",
        "gateway.schemas",
        "shared.domain.answer_body",
    ),
    "observe": (
        "gateway.middleware:_Exchange._tell",
        "gateway.metrics",
        "gateway.stats",
        "shared.telemetry",
        "prometheus_client",
        "loguru",
    ),
}

WORKER: Mapping[str, Names] = {
    "consume": (
        "aiokafka.consumer",
        "faststream",
        "worker.subscriber",
        "worker.dispatcher",
        "worker.lane_consumers",
        "worker.lane_gate",
        "worker.slots",
        "worker.window",
        "worker.ledger",
        "shared.wire:job_from_record",
        "shared.domain.validation",
        "shared.domain.invoke_body",
        "shared.domain.job",
    ),
    "begin": (
        "worker.service",
        "worker.call_sharing",
        "worker.leases",
        "worker.run_meter",
        "worker.run_report",
    ),
    "call": (
        "worker.llm",
        "worker.service:JobProcessor._call",
        "worker.service:JobProcessor._ask",
        "worker.run_report:RunReport.succeeded",
        "langchain_core",
        "langchain_openai",
        "aiohttp",
        "tenacity",
    ),
    "save": (
        "worker.service:JobProcessor._save",
        "worker.logged_results",
        "shared.domain.result",
        "shared.limits",
    ),
    "begin + save": (
        "shared.adapters.redis_batches",
        "shared.adapters.redis_script",
        "shared.adapters.redis_result_store",
        "shared.adapters.fallback_result_store",
        "redis.asyncio.connection:AbstractConnection._send_packed_command",
    ),
    "copy": (
        "worker.service:JobProcessor._copy",
        "worker.result_log",
        "worker.job_events",
        "shared.wire",
        "shared.adapters.kafka_producer",
        "shared.adapters.kafka_event_sink",
        "aiokafka.producer",
    ),
    "observe": (
        "worker.metrics",
        "worker.service:JobProcessor._tell",
        "shared.telemetry",
        "prometheus_client",
        "loguru",
    ),
}

TABLES: Mapping[str, Mapping[str, Names]] = {"gateway": GATEWAY, "worker": WORKER}
