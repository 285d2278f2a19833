"""The gateway's settings."""

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.client_tokens import parse_client_tokens
from shared.settings import Port, PositiveSeconds, ServiceSettings


class GatewaySettings(ServiceSettings):
    """`python -m gateway`; read once at start."""

    llm_host: str = Field("0.0.0.0", description="Address that HTTP listens on")
    llm_port: Port = Field(8000, description="Port that HTTP listens on; 0 takes a free one")
    llm_enable_auth: bool = Field(
        default=False, description="true: a caller needs a token, and each client sees its own jobs alone"
    )
    llm_auth_tokens: SecretStr = Field(
        SecretStr(""),
        description="Clients and the SHA-256 of their tokens: name=hash, comma separated; "
        "python -m gateway.tokens new NAME makes an entry",
    )
    llm_auth_tokens_file: str = Field(
        "",
        description="File of the same, an entry a line; a change counts within about 1 s, without a restart",
    )
    llm_default_wait_seconds: PositiveSeconds = Field(
        55, description="How long a POST waits for its answer before 202"
    )
    llm_max_wait_seconds: PositiveSeconds = Field(300, description="The longest wait a caller may ask for")
    llm_max_waiters: int = Field(
        5000, ge=0, description="Waits held at once; beyond it the answer is 202 at once"
    )
    llm_max_queue_seconds: float = Field(
        300,
        ge=0,
        le=86_400,
        description="New jobs are refused with 503 while one would wait longer than this, for slot or CPU; "
        "0: never",
    )
    llm_sealing_jwks_file: str = Field(
        "",
        description="Public keys of the workers (python -m worker.keys), read again when the file changes; "
        "empty: callers' keys are refused in distributed mode",
    )
    llm_max_body_bytes: int = Field(1_048_576, ge=1024, le=2_097_152, description="The largest request body")
    llm_receive_timeout_seconds: PositiveSeconds = Field(
        30, description="How long a request may take to arrive, head and body; then 408"
    )
    llm_keep_alive_seconds: int = Field(
        75,
        ge=1,
        le=3600,
        description="How long an idle connection is kept: longer than the load balancer in front keeps it "
        "(AWS and nginx 60 s, Google Cloud 600 s), or it meets a closed one",
    )

    @field_validator("llm_auth_tokens")
    @classmethod
    def _entries_are_whole(cls, value: SecretStr) -> SecretStr:
        parse_client_tokens(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _gateway_is_consistent(self) -> Self:
        if self.llm_enable_auth and not (self.llm_auth_tokens_file or self._lists_a_token()):
            raise ValueError(
                "LLM_ENABLE_AUTH=true, but there is no token, so nobody could call; set LLM_AUTH_TOKENS or "
                "LLM_AUTH_TOKENS_FILE (python -m gateway.tokens new NAME makes an entry)"
            )
        if self.llm_default_wait_seconds > self.llm_max_wait_seconds:
            raise ValueError(
                f"LLM_DEFAULT_WAIT_SECONDS={self.llm_default_wait_seconds:g} is above "
                f"LLM_MAX_WAIT_SECONDS={self.llm_max_wait_seconds:g}; allowed: at most that"
            )
        return self

    def _lists_a_token(self) -> bool:
        return bool(parse_client_tokens(self.llm_auth_tokens.get_secret_value()))
