"""`GET /metrics`."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.openapi import METRICS_ANSWERS

router = APIRouter(tags=["operations"])


@router.get("/metrics", responses=METRICS_ANSWERS, response_class=PlainTextResponse)
async def metrics() -> Response:
    """The figures of this process, in the text format of Prometheus."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
