"""`GET /v1/models` and `GET /v1/models/{model}`, as OpenAI's clients ask."""

from typing import Any

from fastapi import APIRouter, Request, Response

from gateway.app_state import AppState, app_state
from gateway.chat.openapi import MODEL_ANSWERS, MODELS_ANSWERS
from gateway.error_responses import json_response
from shared.domain.job import ANY_MODEL, check_supported

router = APIRouter(prefix="/v1/models", tags=["openai"])


@router.get("", responses=MODELS_ANSWERS)
async def models(request: Request) -> Response:
    """What may be asked for by name; where every model may, the default one."""
    state = app_state(request)
    names = dict.fromkeys((state.defaults.model, *state.defaults.supported_models))
    data = [_model(name, state) for name in names if name != ANY_MODEL]
    return json_response({"object": "list", "data": data})


@router.get("/{model:path}", responses=MODEL_ANSWERS)
async def model(request: Request, model: str) -> Response:
    """One of them."""
    state = app_state(request)
    check_supported(model, state.defaults, None)
    return json_response(_model(model, state))


def _model(name: str, state: AppState) -> dict[str, Any]:
    created = int(state.stats.started_at.timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": state.settings.llm_app_name}
