"""A route that is documented like every other, and run without what no endpoint here asks for."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute as DocumentedRoute
from fastapi.routing import APIRouter
from starlette.requests import Request
from starlette.types import Receive, Scope, Send


class PlainRoute(DocumentedRoute):
    """Its endpoint takes the request, and texts out of the path, and gives a response.

    Errors go to the handlers of the app, which are outside of every route.
    """

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send), **scope["path_params"])
            await response(scope, receive, send)

        self.app = app


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """The routes themselves: `include_router` would put a router around them, and FastAPI's way back in."""
    app.router.routes.extend(router.routes)
