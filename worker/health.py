"""`/health/live` and `/health/ready` of a worker, for whoever restarts it, and `/metrics` for Prometheus."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from loguru import logger
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


@asynccontextmanager
async def serve_health(host: str, port: int, is_whole: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """Serve them while the block runs. Live never asks a dependency; without the store, jobs go on."""

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready" if await is_whole() else "degraded"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/health/live", live), web.get("/health/ready", ready), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    address = runner.addresses[0]
    logger.bind(url=f"http://{address[0]}:{address[1]}").info("health_ready")
    try:
        yield
    finally:
        await runner.cleanup()
