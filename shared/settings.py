"""The settings that both services read, and how a wrong one stops the start.

Every field is the environment variable of the same name in lower case.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.caching import CachePolicy, CacheSetting
from shared.domain.invoke_body import MOST_CACHE_SECONDS
from shared.domain.job import ModelDefaults
from shared.domain.limits import Limits, LimitTable, parse_limits
from shared.domain.prices import OwnPrice, parse_own_prices
from shared.domain.priority import DEFAULT_WEIGHTS, Weights, parse_weights
from shared.domain.validation import short_echo
from shared.kafka_security import KafkaSecurity, Mechanism, Protocol, make_kafka_security
from shared.redis_url import with_tls_files
from shared.settings_check import allowed, without_credentials
from shared.telemetry.tracing import is_tracing_installed
from shared.tls_files import TlsFiles

Port = Annotated[int, Field(ge=0, le=65535)]
Topic = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", examples=["llm-requests (letters, digits, . _ -)"])
]
RequestTopic = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,244}$", examples=["llm-requests (letters, digits, . _ -)"])
]
HttpUrl = Annotated[str, Field(pattern=r"^(https?://\S+)?$", examples=["http://collector:4318"])]
_REDIS_URL = re.compile(r"rediss?(\+sentinel|\+cluster)?://|unix:/")
PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]


class ServiceSettings(BaseSettings):
    """What gateway and worker must agree on."""

    model_config = SettingsConfigDict(frozen=True, env_file=".env", extra="ignore", env_ignore_empty=True)

    llm_app_name: str = Field("llm-microservice", description="Name in logs, events and /health")
    llm_version: str = Field("1.0.0", description="Version in logs and /health")
    llm_debug: bool = Field(default=False, description="Readable logs with debug lines; never for production")
    llm_log_level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe level that is logged"
    )
    llm_log_file: str = Field(
        "logs/llm-service.log",
        description="File for events where Kafka is disabled; in `<name>.spool` beside it they wait "
        "while it is away",
    )
    llm_log_file_max_bytes: int = Field(
        104_857_600,
        ge=65_536,
        description="Size at which that file becomes `<name>.1`, in place of the one before it; and most "
        "bytes of a process that wait while Kafka is away, beyond which new ones are dropped and counted",
    )
    llm_default_model: str = Field(
        "gpt-4o-mini", min_length=1, description="Model of a request that names none"
    )
    llm_default_temperature: float = Field(
        0.7, ge=0, le=2, description="Temperature of a request that names none"
    )
    llm_default_max_tokens: int = Field(1000, ge=1, description="Token limit of a request that names none")
    llm_supported_models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("gpt-4o-mini", "gpt-4o", "gpt-3.5-turbo", "gpt-3.5-turbo-16k"),
        examples=["gpt-4o,gpt-4o-mini", "*"],
        description="Models that may be asked for, comma separated; * allows all",
    )
    llm_limit_requests_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="Requests a client may send in any 60 s; 0: no limit"
    )
    llm_limit_tokens_per_minute: int = Field(
        0,
        ge=0,
        le=10**12,
        description="Tokens that the requests of any 60 s may use, estimated, then corrected; 0: no limit",
    )
    llm_limit_jobs_in_flight: int = Field(
        0, ge=0, le=1_000_000, description="Jobs of a client that wait or run at once; 0: no limit"
    )
    llm_limit_dollars_per_day: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Dollars of a client from midnight to midnight UTC; 0: no limit. A model without a known "
        "price spends none",
    )
    llm_limits: str = Field(
        "",
        examples=[
            '{"billing": {"requests_per_minute": 100}} (tokens_per_minute, jobs_in_flight, dollars_per_day)'
        ],
        description='Limits of single clients as JSON, `{"billing": {"requests_per_minute": 100}}`; also '
        "`tokens_per_minute`, `jobs_in_flight`, `dollars_per_day`; what is left out is as above",
    )
    llm_prices: str = Field(
        "",
        examples=[
            '{"my-model": {"input": 0.5, "output": 1.5, "cached": 0.1}} (dollars for a million tokens)'
        ],
        description="Own prices as JSON, in dollars for a million tokens: "
        '`{"my-model": {"input": 0.5, "output": 1.5, "cached": 0.1}}`; others are as genai-prices says',
    )
    llm_response_cache: CacheSetting = Field(
        "deterministic",
        description="Which answers serve equal questions of the same client: `off`, `deterministic` "
        "(temperature 0) or `all`; equal calls that are under way at once are made once",
    )
    llm_cache_ttl_seconds: int = Field(
        86_400, ge=1, le=MOST_CACHE_SECONDS, description="How long such an answer is kept"
    )
    llm_cache_max_entries: int = Field(
        10_000,
        ge=1,
        le=100_000_000,
        description="Most answers that are kept; beyond it those that would end first go",
    )
    llm_priority_weights: str = Field(
        DEFAULT_WEIGHTS,
        examples=["6:3:1 (high:normal:low, each 1 to 100)"],
        description="Shares of the calls that jobs of the priorities high, normal and low begin while all of "
        "them wait; who waits alone has all",
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://localhost:6379"),
        examples=[
            "redis://:password@host:6379/0",
            "redis+sentinel://host:26379/master",
            "redis+cluster://host:6379",
        ],
        description="Redis or Valkey; may hold user and password; `rediss` encrypts",
    )
    redis_ssl_ca_file: str = Field(
        "",
        description="PEM file of who signed Redis' certificate, with a `rediss` address; trusted beside the "
        "system's authorities",
    )
    redis_ssl_cert_file: str = Field("", description="PEM file of our own certificate, where Redis wants one")
    redis_ssl_key_file: str = Field("", description="Its key, without passphrase; empty: in the same file")
    redis_enabled: bool = Field(default=True, description="false: results live in memory (one process only)")
    redis_ttl_hours: float = Field(
        24,
        ge=1,
        le=87_600,
        description="How long a result, and with it its id, is kept; never below the longest deadline, 1 h, "
        "or a record that comes twice could be called twice",
    )
    redis_max_connections: int = Field(
        10,
        ge=1,
        description="Connections of a process to Redis, beside one for its commands and one that listens",
    )
    kafka_bootstrap_servers: str = Field(
        "localhost:9092",
        pattern=r"^[^\s,/]+:\d+(\s*,\s*[^\s,/]+:\d+)*$",
        examples=["host:9092,host:9093"],
        description="Kafka brokers, comma separated",
    )
    kafka_enabled: bool = Field(
        default=False, description="true: distributed mode; in one process, events go to Kafka too"
    )
    kafka_security_protocol: Protocol = Field(
        "PLAINTEXT", description="How Kafka is connected to: SSL encrypts, SASL signs in with a password"
    )
    kafka_sasl_mechanism: Mechanism = Field(
        "SCRAM-SHA-512", description="How the password is shown; PLAIN sends it as it is"
    )
    kafka_sasl_username: str = Field("", description="Kafka user, with SASL_SSL or SASL_PLAINTEXT")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="Its password")
    kafka_ssl_ca_file: str = Field(
        "", description="PEM file of who signed the brokers' certificates; empty: the system's authorities"
    )
    kafka_ssl_cert_file: str = Field(
        "", description="PEM file of our own certificate, where brokers want one"
    )
    kafka_ssl_key_file: str = Field("", description="Its key, without passphrase; empty: in the same file")
    kafka_request_topic: RequestTopic = Field(
        "llm-requests",
        description="Topic of the jobs; those of other priorities than normal are on `<name>.high` and "
        "`<name>.low`",
    )
    kafka_result_topic: Topic = Field("llm-results", description="Topic of every result, as its second copy")
    kafka_metrics_topic: Topic = Field(
        "llm-metrics", description="Topic of one fact a provider call and a job"
    )
    kafka_error_topic: Topic = Field("llm-errors", description="Topic of one fact a failure")
    kafka_dead_letter_topic: Topic = Field(
        "llm-requests.dlq", description="Topic of records that can never become a result"
    )
    kafka_request_partitions: int = Field(
        24,
        ge=1,
        le=1000,
        description="Partitions of the topics made at start, but of results: the most workers that can share "
        "them",
    )
    kafka_replication_factor: int = Field(1, ge=1, description="Replicas of the topics made at start")

    otel_exporter_otlp_endpoint: HttpUrl = Field(
        "",
        description="OpenTelemetry collector (OTLP over HTTP) that traces go to, at `/v1/traces` below it; "
        "empty: no traces. The other standard `OTEL_*` variables hold as well, from the environment alone",
    )
    otel_exporter_otlp_traces_endpoint: HttpUrl = Field(
        "", description="The whole address for traces, where it is another one"
    )
    otel_sdk_disabled: bool = Field(default=False, description="true: no traces, whatever is set above")

    @field_validator("llm_supported_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if not names:
            raise ValueError("it names no model")
        return names

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        if not _REDIS_URL.match(url.get_secret_value()):
            raise ValueError("it is not the address of a Redis")
        return url

    @field_validator("otel_exporter_otlp_endpoint", "otel_exporter_otlp_traces_endpoint")
    @classmethod
    def _can_trace(cls, url: str) -> str:
        if url and not is_tracing_installed():
            raise ValueError(
                "traces need OpenTelemetry's SDK and OTLP exporter, which are not installed here: "
                "install the extra `otel`, or leave it empty"
            )
        return url

    @field_validator("llm_limits")
    @classmethod
    def _check_limits(cls, value: str) -> str:
        parse_limits(value, Limits())
        return value

    @field_validator("llm_priority_weights")
    @classmethod
    def _check_weights(cls, value: str) -> str:
        parse_weights(value)
        return value

    @field_validator("llm_prices")
    @classmethod
    def _check_prices(cls, value: str) -> str:
        parse_own_prices(value)
        return value

    @model_validator(mode="after")
    def _connections_are_consistent(self) -> Self:
        self.kafka_security()
        self.redis_address()
        return self

    def redis_address(self) -> str:
        """With the files; raises ValueError in one line for those that cannot be used."""
        files = TlsFiles(
            "REDIS_SSL", self.redis_ssl_ca_file, self.redis_ssl_cert_file, self.redis_ssl_key_file
        )
        return with_tls_files(self.redis_url.get_secret_value(), files)

    def kafka_security(self) -> KafkaSecurity:
        """Raises ValueError in one line for what contradicts itself, and for files that cannot be used."""
        return make_kafka_security(
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_sasl_username,
            self.kafka_sasl_password.get_secret_value(),
            TlsFiles("KAFKA_SSL", self.kafka_ssl_ca_file, self.kafka_ssl_cert_file, self.kafka_ssl_key_file),
        )

    def limit_table(self) -> LimitTable:
        default = Limits(
            requests_per_minute=self.llm_limit_requests_per_minute,
            tokens_per_minute=self.llm_limit_tokens_per_minute,
            jobs_in_flight=self.llm_limit_jobs_in_flight,
            dollars_per_day=self.llm_limit_dollars_per_day,
        )
        return LimitTable(default, parse_limits(self.llm_limits, default))

    def priority_weights(self) -> Weights:
        return parse_weights(self.llm_priority_weights)

    def cache_policy(self) -> CachePolicy:
        return CachePolicy(self.llm_response_cache, self.llm_cache_ttl_seconds)

    def own_prices(self) -> dict[str, OwnPrice]:
        return parse_own_prices(self.llm_prices)

    def traces_url(self) -> str | None:
        """Where traces go; None: nowhere."""
        if self.otel_sdk_disabled:
            return None
        base = self.otel_exporter_otlp_endpoint
        of_base = f"{base.rstrip('/')}/v1/traces" if base else None
        return self.otel_exporter_otlp_traces_endpoint or of_base

    def event_spool_folder(self) -> Path:
        return Path(f"{self.llm_log_file}.spool")

    def retention(self) -> timedelta:
        return timedelta(hours=self.redis_ttl_hours)

    def model_defaults(self) -> ModelDefaults:
        return ModelDefaults(
            self.llm_default_model,
            self.llm_default_temperature,
            self.llm_default_max_tokens,
            self.llm_supported_models,
        )


Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(settings_class: type[Settings], **overrides: Any) -> Settings:
    """Read the environment and `.env`; a wrong value ends the process with a line that names it."""
    try:
        return settings_class(**overrides)
    except ValidationError as invalid:
        raise SystemExit("\n".join(_complaints(invalid, settings_class))) from None


def _complaints(invalid: ValidationError, settings_class: type[BaseSettings]) -> list[str]:
    return [
        _complaint(error, settings_class.model_fields.get(str(error["loc"][0])) if error["loc"] else None)
        for error in invalid.errors()
    ]


def _complaint(error: ErrorDetails, field: FieldInfo | None) -> str:
    problem = error["msg"].removeprefix("Value error, ")
    if field is None:
        return f"configuration error: {problem}"
    name = str(error["loc"][0])
    is_secret = field.annotation is SecretStr or any(word in name for word in _SECRET)
    shown = "" if is_secret else f"={without_credentials(short_echo(str(error['input'])))!r}"
    return f"configuration error: {name.upper()}{shown}: {problem}; allowed: {allowed(field)}"


_SECRET = ("api_key", "password", "secret", "auth_tokens")
