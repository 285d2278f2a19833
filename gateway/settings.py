"""The gateway's settings."""

from typing import Self

from pydantic import Field, model_validator

from shared.settings import Port, PositiveSeconds, ServiceSettings


class GatewaySettings(ServiceSettings):
    """`python -m gateway`; read once at start."""

    llm_host: str = Field("0.0.0.0", description="Address that HTTP listens on")
    llm_port: Port = Field(8000, description="Port that HTTP listens on; 0 takes a free one")
    llm_enable_auth: bool = Field(
        default=False, description="Gateway tokens; not available yet, true is refused"
    )
    llm_default_wait_seconds: PositiveSeconds = Field(
        55, description="How long a POST waits for its answer before 202"
    )
    llm_max_wait_seconds: PositiveSeconds = Field(300, description="The longest wait a caller may ask for")
    llm_max_waiters: int = Field(
        5000, ge=0, description="Waits held at once; beyond it the answer is 202 at once"
    )
    llm_max_body_bytes: int = Field(1_048_576, ge=1024, le=2_097_152, description="The largest request body")

    @model_validator(mode="after")
    def _gateway_is_consistent(self) -> Self:
        if self.llm_enable_auth:
            raise ValueError("LLM_ENABLE_AUTH=true is not supported yet; allowed: false")
        if self.llm_default_wait_seconds > self.llm_max_wait_seconds:
            raise ValueError(
                f"LLM_DEFAULT_WAIT_SECONDS={self.llm_default_wait_seconds:g} is above "
                f"LLM_MAX_WAIT_SECONDS={self.llm_max_wait_seconds:g}; allowed: at most that"
            )
        return self
