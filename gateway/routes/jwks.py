"""`GET /.well-known/jwks.json`: what a direct producer seals its key with."""

from fastapi import APIRouter, Request, Response

from gateway.app_state import app_state
from gateway.error_responses import json_response
from gateway.openapi import JWKS_ANSWERS

router = APIRouter(tags=["operations"])

_CACHE_CONTROL = "public, max-age=300"


@router.get("/.well-known/jwks.json", responses=JWKS_ANSWERS)
async def jwks(request: Request) -> Response:
    """The workers' public keys, the current one first; none where keys are not sealed."""
    sealer = app_state(request).adapters.sealer
    response = json_response(sealer.jwks() if sealer is not None else {"keys": []})
    response.headers["Cache-Control"] = _CACHE_CONTROL
    return response
