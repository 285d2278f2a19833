"""Every manifest of a rendering, checked by whoever knows its kind."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import missing
from tests.ground.custom_resources import custom_resource_complaints, is_custom
from tests.ground.kafka_trigger import trigger_complaints
from tests.support.availability import Unavailable

OLDEST, NEWEST = "1.27", "1.37"


def complaints(manifests: Sequence[dict[str, Any]], kubernetes: str = NEWEST) -> tuple[str, ...]:
    """What is wrong with a rendering, a line each; nothing is left unchecked.

    What was checked before, as the same rendering by another Helm, is not checked again.
    """
    try:
        return _complaints(json.dumps(sorted(manifests, key=_identity)), kubernetes)
    except Unavailable as reason:
        missing(str(reason))


@cache
def _complaints(text: str, kubernetes: str) -> tuple[str, ...]:
    manifests: list[dict[str, Any]] = json.loads(text)
    custom = [manifest for manifest in manifests if is_custom(manifest)]
    native = [manifest for manifest in manifests if not is_custom(manifest)]
    return (
        *_of_kubernetes(native, kubernetes),
        *custom_resource_complaints(custom),
        *_of_triggers(custom),
        *_of_names(manifests),
    )


def _identity(manifest: dict[str, Any]) -> tuple[str, str]:
    return str(manifest["kind"]), str(manifest["metadata"]["name"])


def related(manifests: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are not as before, those of the same name, and what KEDA's refer to."""
    changed = {_identity(manifest) for manifest in manifests if manifest not in before}
    kinds = {"TriggerAuthentication"} if any(kind == "ScaledObject" for kind, _ in changed) else set()
    if any(kind == "TriggerAuthentication" for kind, _ in changed):
        kinds.add("ScaledObject")
    return [each for each in manifests if _identity(each) in changed or each["kind"] in kinds]


def _of_kubernetes(manifests: Sequence[dict[str, Any]], version: str) -> list[str]:
    """`kubernetes-validate --strict`; a kind of which it has no schema is told of as well."""
    if not manifests:
        return []
    program = Path(sys.executable).with_name("kubernetes-validate")
    command: list[str | Path] = [program, "--strict", "--quiet", "-k", version, "-"]
    done = subprocess.run(
        command,
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return said or ["kubernetes-validate failed"] * (done.returncode != 0)


def _of_triggers(manifests: Sequence[dict[str, Any]]) -> Iterator[str]:
    authentications = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "TriggerAuthentication"}
    for manifest in manifests:
        if manifest["kind"] == "ScaledObject":
            yield from trigger_complaints(manifest, authentications)


def _of_names(manifests: Sequence[dict[str, Any]]) -> Iterator[str]:
    for (kind, name), count in Counter(map(_identity, manifests)).items():
        if count > 1:
            yield f"{kind}/{name}: {count} times"
