"""Who may call, and whose jobs a request is about."""

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.app_state import AppState, app_state
from gateway.dashboard.page_files import page_files
from gateway.error_responses import refusal
from gateway.known_clients import KnownClients
from gateway.openapi import describe_tokens
from shared.domain.errors import ErrorCode, job_error
from shared.domain.job import DEFAULT_OWNER
from shared.domain.validation import TOKEN_PREFIX

OPEN_PATHS = frozenset(
    {
        "/health",
        "/health/live",
        "/health/ready",
        "/docs",
        "/docs/oauth2-redirect",
        "/redoc",
        "/openapi.json",
        "/asyncapi",
        "/asyncapi.json",
        "/.well-known/jwks.json",
        *page_files(),
    }
)
"""What anybody may see. Everything else, also a path that is not there, wants a token."""


def owner_of(request: Request) -> str:
    """The client whose request it is, who owns the job; everybody is one owner while auth is off."""
    if not app_state(request).settings.llm_enable_auth:
        return DEFAULT_OWNER
    owner: str = request.state.owner  # an error on an open path, never somebody else's jobs
    return owner


def guard(app: FastAPI, clients: KnownClients | None) -> None:
    """Close `app` to who is not a client; with auth off there is no gate at all."""
    if clients is not None:
        app.add_middleware(TokenGate, clients=clients)
        describe_tokens(app.openapi(), OPEN_PATHS)


class TokenGate:
    """Lets a request through under its client's name. Asks nothing but memory."""

    def __init__(self, app: ASGIApp, *, clients: KnownClients) -> None:
        self._app = app
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        owner = self._clients.client_of(_bearer_token(scope))
        if owner is None:
            await self._refuse(scope, receive, send)
            return
        scope["state"]["owner"] = owner
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: AppState = scope["app"].state.gateway
        state.stats.count_refusal(_UNAUTHORIZED.error_code)
        await refusal(scope, _UNAUTHORIZED)(scope, receive, send)


def _bearer_token(scope: Scope) -> bytes:
    told = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = told.partition(b" ")
    return bytes(token.strip()) if scheme.lower() == b"bearer" else b""


_UNAUTHORIZED = job_error(
    ErrorCode.UNAUTHORIZED,
    f"Authorization: the token is missing or unknown; send Authorization: Bearer {TOKEN_PREFIX}...",
    field="Authorization",
)
