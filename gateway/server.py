"""The HTTP server of a gateway."""

import logging
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI
from loguru import logger

from gateway.app_state import AppState
from gateway.http_protocol import http_protocol
from gateway.settings import GatewaySettings

_GRACEFUL_SECONDS = 30


class GatewayServer(uvicorn.Server):
    """Uvicorn that says where it listens, and answers held waits as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        state: AppState = self._app.state.gateway
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        logger.bind(url=f"http://{host}:{port}", mode=state.adapters.mode).info("gateway_ready")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state: AppState = self._app.state.gateway
        state.service.waits.drain()
        await super().shutdown(sockets)


def serve(settings: GatewaySettings, app: FastAPI) -> None:
    """Serve until SIGTERM or SIGINT."""
    # What the client library says while a broker is away, our own lines say once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=http_protocol(settings.llm_receive_timeout_seconds, app.state.door),
        ws="none",
        timeout_keep_alive=settings.llm_keep_alive_seconds,
        access_log=False,
        proxy_headers=False,
        log_level="critical",
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    # Uvicorn raises the signal again when it has shut down; who left in peace exits with 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    GatewayServer(config, app).run(sockets=[_bind(settings.llm_host, settings.llm_port)])


def _bind(host: str, port: int) -> socket.socket:
    """The address is taken now and listened to when the app is ready."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as fault:
        raise SystemExit(f"LLM_HOST={host} LLM_PORT={port}: cannot listen there: {fault.strerror}") from None
    return listener
