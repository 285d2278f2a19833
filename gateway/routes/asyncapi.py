"""`GET /asyncapi` and `/asyncapi.json`: the documentation of the topics."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from gateway.app_state import app_state
from gateway.asyncapi import asyncapi_document, asyncapi_page
from gateway.error_responses import json_response

router = APIRouter(include_in_schema=False)


@router.get("/asyncapi.json")
async def document(request: Request) -> Response:
    """For programs."""
    return json_response(asyncapi_document(app_state(request).settings))


@router.get("/asyncapi")
async def page(request: Request) -> Response:
    """For people."""
    return HTMLResponse(asyncapi_page(asyncapi_document(app_state(request).settings)))
