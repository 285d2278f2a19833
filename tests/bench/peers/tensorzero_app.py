"""TensorZero's gateway (Rust) embedded in the smallest FastAPI app; it has an environment of its own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from tensorzero import AsyncTensorZeroGateway


@asynccontextmanager
async def _gateway(app: FastAPI) -> AsyncIterator[None]:
    config = os.environ["TENSORZERO_CONFIG"]
    async with await AsyncTensorZeroGateway.build_embedded(config_file=config) as gateway:
        app.state.gateway = gateway
        yield


app = FastAPI(lifespan=_gateway)


@app.post("/v1/chat/completions", response_model=None)
async def complete(request: Request) -> dict[str, Any] | Response:
    asked = await request.json()
    system = "".join(message["content"] for message in asked["messages"] if message["role"] == "system")
    rest = [message for message in asked["messages"] if message["role"] != "system"]
    answer = await request.app.state.gateway.inference(
        model_name=asked["model"], input={"system": system, "messages": rest}
    )
    return {"id": f"{answer.inference_id}", "choices": [{"message": {"content": answer.content[0].text}}]}
