"""The caller's own provider key: in the body of `/invoke`, or where OpenAI's clients put it."""

from uuid import UUID

from fastapi import Request
from pydantic import SecretStr

from gateway.app_state import AppState
from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.invoke_body import API_KEY

_PROVIDER_PREFIX = "sk-"


def bearer_key(request: Request, state: AppState) -> SecretStr | None:
    """The provider key in `Authorization`; none where a gateway token has that place.

    Clients that must send something send anything: what is no provider key is left alone.
    """
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    key = told.strip()
    if state.settings.llm_enable_auth or scheme.lower() != "bearer" or not key.startswith(_PROVIDER_PREFIX):
        return None
    if not API_KEY.fullmatch(key):
        raise InvalidRequest(_INVALID)
    return SecretStr(key)


def check_key_is_accepted(key: SecretStr | None, state: AppState, request_id: UUID | None) -> None:
    """`InvalidRequest` where the key could reach the worker only in the clear."""
    if key is not None and not state.adapters.accepts_caller_keys:
        raise InvalidRequest(_NOT_ACCEPTED, str(request_id) if request_id else None)


_INVALID = job_error(
    ErrorCode.INVALID_API_KEY,
    "Authorization: Invalid OpenAI API key format",
    field="Authorization",
    details={"expected_format": "Bearer sk-..."},
)
_NOT_ACCEPTED = job_error(
    ErrorCode.API_KEY_NOT_ACCEPTED,
    "openai_api_key: this gateway cannot seal a caller's key, and in the clear it must not travel over "
    "Kafka; leave it out, and the workers use the service's own key (operators: set LLM_SEALING_JWKS_FILE)",
    field="openai_api_key",
)
