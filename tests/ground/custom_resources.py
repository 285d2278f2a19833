"""Resources of KEDA, the Prometheus operator and the Gateway API, which Kubernetes has no schema for.

Two checks, since each misses something: the published schema (types, required fields, ranges) lets an unknown
field pass, as these definitions do; the TypeScript types of the same packages do not.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.npm_packages import CUSTOM_RESOURCES, NODE, node_modules

_MODULES = {
    ("keda.sh/v1alpha1", "ScaledObject"): "keda/keda.sh/v1alpha1/ScaledObject",
    ("keda.sh/v1alpha1", "TriggerAuthentication"): "keda/keda.sh/v1alpha1/TriggerAuthentication",
    (
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
    ): "prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
    ("monitoring.coreos.com/v1", "PodMonitor"): "prometheus-operator/monitoring.coreos.com/v1/PodMonitor",
    (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    ): "prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
}
_TYPES = [
    "--noEmit",
    "--skipLibCheck",
    "--strict",
    "--module",
    "nodenext",
    "--moduleResolution",
    "nodenext",
    "--types",
]
_VALIDATE = """
import { readFileSync } from "node:fs";
for (const [module, kind, resource] of JSON.parse(readFileSync(0, "utf8"))) {
  const model = (await import(module))[kind];
  try { new model(resource).validate(); console.log(""); }
  catch (fault) { console.log(fault.message.replaceAll("\\n", "; ")); }
}
"""


def is_custom(manifest: dict[str, Any]) -> bool:
    return (manifest.get("apiVersion"), manifest.get("kind")) in _MODULES


def custom_resource_complaints(manifests: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each field that its definition does not know, or not so."""
    if not manifests:
        return []
    modules = node_modules(*CUSTOM_RESOURCES)
    return [*_by_schema(manifests, modules), *_by_type(manifests, modules)]


def _by_schema(manifests: Sequence[dict[str, Any]], modules: Path) -> Iterator[str]:
    entries = [[_module(manifest), manifest["kind"], manifest] for manifest in manifests]
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", _VALIDATE],
        input=json.dumps(entries),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=modules.parent,
    )
    for manifest, complaint in zip(manifests, done.stdout.splitlines(), strict=True):
        if complaint:
            yield f"{_name(manifest)}: {complaint}"


def _by_type(manifests: Sequence[dict[str, Any]], modules: Path) -> Iterator[str]:
    """A constant a line, of its kind's type: a literal may have no field that the type lacks."""
    with tempfile.TemporaryDirectory(dir=modules.parent) as folder:
        source = Path(folder) / "resources.ts"
        source.write_text("\n".join(_constant(number, each) for number, each in enumerate(manifests)))
        command: list[str | Path] = [NODE, modules / "typescript" / "bin" / "tsc", *_TYPES, "", source]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
    found = re.findall(r"^\S+\((\d+),\d+\): error TS\d+: (.*)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 or found, done.stdout + done.stderr
    for line, complaint in found:
        yield f"{_name(manifests[int(line) - 1])}: {complaint}"


def _constant(number: int, manifest: dict[str, Any]) -> str:
    imported = f'import("{_module(manifest)}").I{manifest["kind"]}'
    return f"export const resource{number}: {imported} = {json.dumps(manifest)};"


def _module(manifest: dict[str, Any]) -> str:
    return f"@kubernetes-models/{_MODULES[manifest['apiVersion'], manifest['kind']]}"


def _name(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"
