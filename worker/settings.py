"""The worker's settings."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from shared.domain.job import ANY_MODEL
from shared.settings import Port, PositiveSeconds, ServiceSettings

OPENAI_URL = "https://api.openai.com/v1"


class WorkerSettings(ServiceSettings):
    """`python -m worker`; read once at start."""

    openai_api_key: SecretStr = Field(SecretStr(""), description="The service's own provider key")
    openai_base_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        examples=["https://host/v1"],
        description=f"Any OpenAI-compatible server; empty: {OPENAI_URL}",
    )
    worker_local_model_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        examples=["http://local-model:8002/v1"],
        description="Server of a local model (`python -m worker.llm.local_model --port 8002`), asked in "
        "place of every model while there is neither OPENAI_API_KEY nor OPENAI_BASE_URL; the answer's "
        "`model` says so",
    )
    llm_fallback_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        examples=["gpt-4o-mini,gpt-3.5-turbo"],
        description="Models that are asked in turn when the one that was asked for is away, comma separated; "
        "the answer's `model` says which one spoke; empty: none",
    )
    kafka_consumer_group: str = Field(
        "llm-workers", min_length=1, description="Consumer group of the workers"
    )
    kafka_allow_clear_keys: bool = Field(
        default=False,
        description="true: also a key in the clear on the topic is used; who may read the topic can read it",
    )
    llm_log_content: bool = Field(
        default=False,
        description="true: every call's prompt and answer are in the log, which is then as private as they "
        "are; keys never",
    )
    worker_sealing_keys_file: str = Field(
        "",
        description="Private keys that open callers' sealed keys (python -m worker.keys), for this user "
        "alone; read again when the file changes; empty: no sealed key is accepted",
    )
    worker_concurrency: int = Field(1000, ge=1, description="Provider calls at once in a process")
    worker_window_jobs: int = Field(2000, ge=1, description="Jobs held at once, running or waiting")
    worker_window_bytes: int = Field(67_108_864, ge=4_194_304, description="Bytes of jobs held at once")
    worker_partition_span: int = Field(
        10_000,
        ge=1,
        description="Offsets between the first unfinished and the last taken before a partition pauses",
    )
    worker_lease_seconds: PositiveSeconds = Field(
        20,
        ge=3,
        description="How long a silent worker keeps its jobs; a renewal may take 2 s, so not below 3",
    )
    worker_max_runs: int = Field(
        3, ge=1, description="Runs of a job that may die with their worker before it is dead-lettered"
    )
    worker_max_attempts: int = Field(5, ge=1, description="Provider calls of one run to one model")
    worker_backoff_seconds: PositiveSeconds = Field(
        0.5, description="First pause between two provider calls; doubles"
    )
    worker_max_backoff_seconds: PositiveSeconds = Field(
        30, description="Longest pause that the worker chooses itself"
    )
    worker_least_key_calls: int = Field(
        1,
        ge=1,
        le=100_000,
        description="Calls at once of a provider key that its 429s leave it; as many as WORKER_CONCURRENCY: "
        "429s limit no key",
    )
    worker_breaker_failures: int = Field(
        20,
        ge=0,
        description="Calls in a row without a connection, or to one model with 5xx, after which no more go "
        "out for a while; half of the last hundred (at least 20) count as well; 0: never",
    )
    worker_breaker_seconds: PositiveSeconds = Field(
        5, description="How long none goes out; then three at a time try whether it is back"
    )
    worker_connect_timeout_seconds: PositiveSeconds = Field(10, description="Time to connect to the provider")
    worker_read_timeout_seconds: PositiveSeconds = Field(
        120, description="Silence of the provider before its outcome is unknown"
    )
    worker_max_answer_bytes: int = Field(
        1_572_864,
        ge=65_536,
        le=2_000_000,
        description="Longest answer of the provider; more of it is not read. A result holds its text twice, "
        "and a record at most 4 MiB",
    )
    worker_drain_seconds: PositiveSeconds = Field(
        600, description="Time for running calls to end after SIGTERM"
    )
    worker_session_timeout_seconds: PositiveSeconds = Field(
        30, description="Silence before Kafka gives a worker's partitions away"
    )
    worker_max_poll_seconds: PositiveSeconds = Field(
        300, description="Time without asking Kafka for records before it gives the partitions away"
    )
    worker_health_host: str = Field("0.0.0.0", description="Address of the health server")
    worker_health_port: Port = Field(
        8001, description="Port of /health/live and /health/ready; 0 takes a free one"
    )

    @field_validator("llm_fallback_models", mode="before")
    @classmethod
    def _name_models(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if not names:
            raise ValueError("it names no model")
        if ANY_MODEL in names:
            raise ValueError(f"{ANY_MODEL} names no model")
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"it names {repeated[0]} twice")
        return names

    @model_validator(mode="after")
    def _worker_is_consistent(self) -> Self:
        if self.worker_window_jobs < self.worker_concurrency:
            raise ValueError(
                f"WORKER_WINDOW_JOBS={self.worker_window_jobs} is below "
                f"WORKER_CONCURRENCY={self.worker_concurrency}; allowed: at least that"
            )
        if self.worker_session_timeout_seconds > self.worker_max_poll_seconds:
            raise ValueError(
                f"WORKER_SESSION_TIMEOUT_SECONDS={self.worker_session_timeout_seconds:g} is above "
                f"WORKER_MAX_POLL_SECONDS={self.worker_max_poll_seconds:g}; allowed: at most that"
            )
        if self.worker_backoff_seconds > self.worker_max_backoff_seconds:
            raise ValueError(
                f"WORKER_BACKOFF_SECONDS={self.worker_backoff_seconds:g} is above "
                f"WORKER_MAX_BACKOFF_SECONDS={self.worker_max_backoff_seconds:g}; allowed: at most that"
            )
        return self

    def is_keyless(self) -> bool:
        """Nobody else answers a job that brings no key."""
        return not self.openai_api_key.get_secret_value() and not self.openai_base_url

    def provider_url(self) -> str:
        return (self.openai_base_url or OPENAI_URL).rstrip("/")
