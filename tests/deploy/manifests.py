"""Reads the manifests of deploy/ and checks them against the schemas of Kubernetes and of the CRDs that they use."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES, KSERVE = DEPLOY / "kubernetes", DEPLOY / "kserve"
_SCHEMAS = Path(__file__).parent / "schemas"
_BUILT_IN = ("v1", "apps/v1", "policy/v1", "autoscaling/v2", "networking.k8s.io/v1")

Manifest = dict[str, Any]


def read(path: Path) -> Manifest:
    """The only document of a file."""
    manifest: Manifest = yaml.safe_load(path.read_text(encoding="utf8"))
    return manifest


def built(folder: Path) -> dict[str, Manifest]:
    """What `kubectl kustomize` makes of a folder, by kind and name; a ConfigMap's without the hash at its end."""
    made = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    found = {}
    for manifest in yaml.safe_load_all(made.stdout):
        name = manifest["metadata"]["name"]
        name = name.rpartition("-")[0] if manifest["kind"] == "ConfigMap" else name
        found[f"{manifest['kind']}/{name}"] = manifest
    return found


def check(manifest: Manifest) -> None:
    """Raises ValidationError for a field that the schema does not have, or a value of another type."""
    if manifest["apiVersion"] in _BUILT_IN:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        return
    schema = json.loads((_SCHEMAS / f"{manifest['kind'].lower()}.json").read_text())
    jsonschema.validate(manifest, schema)
    for pod in _pods(manifest):
        check(pod)


def check_whole(manifest: Manifest, definition: Manifest) -> None:
    """Raises ValidationError for what the whole definition of a custom resource does not have."""
    version = manifest["apiVersion"].rpartition("/")[2]
    (found,) = (each for each in definition["spec"]["versions"] if each["name"] == version)
    schema = _strict(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.validate(manifest, schema)


def _strict(schema: Any) -> Any:
    """The schema without fields that it does not name: Kubernetes drops those."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    strict = {name: _strict(part) for name, part in schema.items()}
    if (
        "properties" in schema
        and schema.get("type") == "object"
        and "x-kubernetes-preserve-unknown-fields" not in schema
    ):
        strict.setdefault("additionalProperties", False)
    return strict


def _pods(manifest: Manifest) -> Iterator[Manifest]:
    """The parts of a serving runtime that are parts of a pod, as a pod."""
    if manifest["kind"] == "ClusterServingRuntime":
        spec = {name: manifest["spec"][name] for name in ("containers", "volumes")}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runtime"}, "spec": spec}
