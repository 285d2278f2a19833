"""Our images, looked into."""

import pytest

from tests.ground.engine.docker_engine import Engine
from tests.ground.engine.measured import Measured
from tests.ground.engine.product_images import (
    GATEWAY,
    IMAGES,
    LOCAL_MODEL,
    ProductImage,
    inspect,
    megabytes_above_base,
)

pytestmark = pytest.mark.timeout(1800)
_LABELS = ("title", "description", "licenses", "version", "revision")


def inside(engine: Engine, image: ProductImage, script: str) -> str:
    """What a shell in the image prints, its folders read-only."""
    confined = ("--read-only", "--network=none", "--entrypoint=sh")
    return engine.docker_run("run", "--rm", *confined, image.tag, "-c", script)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.tag.partition(":")[0])
class TestEveryImage:
    def test_it_tells_what_it_is(self, built: Engine, image: ProductImage) -> None:
        labels = inspect(built, image.tag)["Config"]["Labels"]
        assert all(labels[f"org.opencontainers.image.{name}"] for name in _LABELS)
        assert labels["org.opencontainers.image.title"] == image.tag.partition(":")[0]

    def test_it_runs_as_nobody_who_owns_a_program(self, built: Engine, image: ProductImage) -> None:
        assert inside(built, image, "id -u").strip() == "10001"
        found = "find / -xdev -user 10001 -not -path '/proc/*' -not -path '/app/logs' 2>/dev/null; true"
        owned = inside(built, image, found)
        assert owned == ""

    def test_there_is_nothing_to_compile_or_install_with(self, built: Engine, image: ProductImage) -> None:
        left = inside(
            built,
            image,
            "ls /opt/venv/bin | grep -E '^(pip|easy_install)'; command -v gcc cc make;"
            " find / -xdev -name .cache 2>/dev/null; true",
        )
        assert left == ""

    def test_no_layer_and_no_variable_holds_a_secret(self, built: Engine, image: ProductImage) -> None:
        history = built.docker_run("history", "--no-trunc", "--format", "{{.CreatedBy}}", image.tag)
        told = history + str(inspect(built, image.tag)["Config"]["Env"])
        assert "compileall" not in told, "the layers of the build are not in the image"
        assert not any(word in told.upper() for word in ("API_KEY", "PASSWORD", "TOKEN", "SECRET"))

    def test_it_says_how_it_is(self, built: Engine, image: ProductImage) -> None:
        assert inspect(built, image.tag)["Config"]["Healthcheck"]["Test"][0] == "CMD"

    def test_it_is_weighed(self, built: Engine, image: ProductImage, measured: Measured) -> None:
        measured.megabytes[image.tag] = megabytes_above_base(built, image)
        assert measured.megabytes[image.tag] > 1


def test_the_gateway_carries_no_llm_library(built: Engine) -> None:
    packages = inside(built, GATEWAY, "ls /opt/venv/lib/python3.11/site-packages")
    assert "fastapi" in packages
    assert not any(name in packages for name in ("langchain", "openai", "faststream", "tiktoken"))


def test_only_the_local_model_carries_the_model(built: Engine) -> None:
    holders = {
        image.tag
        for image in IMAGES
        if inside(built, image, "find /opt/venv/lib/python3.11/site-packages -name '*.gguf'")
    }
    assert holders == {LOCAL_MODEL.tag}
