"""Our images, built, and what is told about them."""

import json
from dataclasses import dataclass
from typing import Any

from tests.ground.engine.docker_engine import Engine
from tests.ground.engine.stand_ins import PYTHON_IMAGE
from tests.ground.helm_chart import ROOT


@dataclass(frozen=True)
class ProductImage:
    tag: str
    dockerfile: str
    target: str
    ready: str
    """What its log says when it can be asked."""


GATEWAY = ProductImage("llm-microservice-gateway:latest", "Dockerfile.gateway", "", "gateway_ready")
WORKER = ProductImage("llm-microservice-worker:latest", "Dockerfile.worker", "", "partitions_assigned")
SERVICE = ProductImage("llm-microservice:latest", "Dockerfile.worker", "service", "gateway_ready")
LOCAL_MODEL = ProductImage(
    "llm-microservice-local-model:latest", "Dockerfile.worker", "local-model", "listening on"
)
IMAGES = (GATEWAY, WORKER, SERVICE, LOCAL_MODEL)


def build(engine: Engine, image: ProductImage) -> None:
    target = [f"--target={image.target}"] if image.target else []
    network = ["--network=host"] if engine.is_own else []
    engine.docker_run("build", *network, *target, "--tag", image.tag, "--file", ROOT / image.dockerfile, ROOT)


def inspect(engine: Engine, name: str) -> dict[str, Any]:
    """Of an image or a container."""
    (found,) = json.loads(engine.docker_run("inspect", name))
    assert isinstance(found, dict)
    return found


def megabytes_above_base(engine: Engine, image: ProductImage) -> float:
    """What the image adds to the public one that it is built on."""
    added = inspect(engine, image.tag)["Size"] - inspect(engine, PYTHON_IMAGE)["Size"]
    return float(added) / 1e6
