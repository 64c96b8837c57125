"""The manifests fit their schemas, and agree with the service and with each other."""

import copy
import os
import re
import shutil
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from kubernetes_validate import ValidationError

from app.cli.main import main
from app.settings import Settings
from tests.deploy.manifests import KSERVE, KUBERNETES, Manifest, built, check, check_whole, read

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="NO KUBECTL: kustomize is part of it")
OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
PLAIN = sorted(
    path for path in KUBERNETES.rglob("*.yaml") if path.name not in ("kustomization.yaml", "prometheus-adapter.yaml")
)
WHOLE = [path for path in PLAIN if read(path)["kind"] != "Deployment"]
CUSTOM = [
    KUBERNETES / "components" / "keda" / "scaled.yaml",
    KUBERNETES / "components" / "metrics" / "pods.yaml",
    KSERVE / "runtime.yaml",
    KSERVE / "one-version.yaml",
]
DEPLOYMENT = read(KUBERNETES / "base" / "deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
SETTINGS = dict(
    literal.split("=", 1)
    for literal in read(KUBERNETES / "base" / "kustomization.yaml")["configMapGenerator"][0]["literals"]
)


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> dict[str, Manifest]:
    return built(KUBERNETES / "overlays" / request.param)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_each_file_fits_its_schema(path: Path) -> None:
    check(read(path))


@needs_kubectl
def test_each_overlay_fits_the_schemas(overlay: dict[str, Manifest]) -> None:
    assert {
        "Deployment/unroll",
        "Service/unroll",
        "PodDisruptionBudget/unroll",
        "NetworkPolicy/unroll",
    } <= overlay.keys()
    for manifest in overlay.values():
        check(manifest)
    labels = overlay["Deployment/unroll"]["spec"]["template"]["metadata"]["labels"].items()
    chosen = [
        *(
            overlay[key]["spec"]["selector"]["matchLabels"]
            for key in ("Deployment/unroll", "PodDisruptionBudget/unroll")
        ),
        overlay["Service/unroll"]["spec"]["selector"],
        overlay["NetworkPolicy/unroll"]["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in chosen:
        assert selector  # an empty one of a budget chooses every pod of the namespace, and none at all no pod
        assert selector.items() <= labels


@needs_kubectl
def test_an_overlay_of_a_user_joins_the_components(tmp_path: Path) -> None:
    for kind in ("overlays", "components", "base"):
        shutil.copytree(KUBERNETES / kind, tmp_path / kind)
    own = tmp_path / "own"
    own.mkdir()
    components = [f"../components/{name}" for name in ("keda", "store-url", "store-volume")]
    own.joinpath("kustomization.yaml").write_text(
        yaml.safe_dump(
            {"resources": ["../overlays/gpu"], "components": components, "patches": _patches_of("docs/kubernetes.md")}
        )
    )
    manifests = built(own)
    for manifest in manifests.values():
        check(manifest)
    deployment = manifests["Deployment/unroll"]["spec"]
    assert "replicas" not in deployment
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["image"] == "unroll-serve:cuda"
    assert {mount["name"] for mount in container["volumeMounts"]} == {"temporary", "cache", "store"}
    assert {
        "PodMonitor/unroll",
        "ScaledObject/unroll",
        "PersistentVolumeClaim/unroll-store",
        "NetworkPolicy/unroll-store",
    } <= manifests.keys()
    (scraped,) = manifests["PodMonitor/unroll"]["spec"]["podMetricsEndpoints"]
    assert scraped["authorization"] == {"credentials": {"name": "unroll", "key": "METRICS_KEY"}}


def _patches_of(page: str) -> Any:
    """Those that the page shows."""
    text = (KUBERNETES.parents[1] / page).read_text(encoding="utf8")
    (block,) = re.findall(r"^  ```yaml\n(  patches:\n.*?)^  ```", text, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(block)["patches"]


@pytest.mark.parametrize("change", [{"replica": 2}, {"replicas": "two"}])
def test_a_wrong_field_is_found(change: dict[str, Any]) -> None:
    wrong = copy.deepcopy(DEPLOYMENT)
    wrong["spec"] |= change
    with pytest.raises(ValidationError):
        check(wrong)


@pytest.mark.parametrize("path", CUSTOM, ids=lambda path: str(path.stem))
def test_a_wrong_field_of_a_custom_resource_is_found(path: Path) -> None:
    wrong = read(path)
    wrong["spec"]["replica"] = 2
    with pytest.raises(jsonschema.ValidationError):
        check(wrong)


@pytest.mark.parametrize("path", [*CUSTOM, *KSERVE.glob("*.yaml")], ids=lambda path: str(path.stem))
def test_custom_resources_fit_the_whole_definitions(path: Path) -> None:
    """`UNROLL_CRDS` names a folder with the files of KServe, KEDA and the Prometheus operator."""
    if (folder := os.environ.get("UNROLL_CRDS")) is None:
        pytest.skip("UNROLL_CRDS does not name the folder of whole custom resource definitions")
    manifest = read(path)
    definitions = [
        whole
        for file in Path(folder).glob("*.yaml")
        if (whole := read(file))["spec"]["names"]["kind"] == manifest["kind"]
    ]
    if not definitions:
        pytest.skip(f"no definition of {manifest['kind']}")
    check_whole(manifest, definitions[0])


def test_settings_are_settings_and_service_links_set_none() -> None:
    names = {f"UNROLL_{name.upper()}" for name in Settings.model_fields}
    variables = {entry["name"] for path in PLAIN for entry in _environment(read(path))}
    assert SETTINGS.keys() | variables <= names
    assert "UNROLL_PORT" in names  # a Service named unroll would set it to tcp://...
    assert POD["enableServiceLinks"] is False


def test_commands_are_commands() -> None:
    assert CONTAINER["args"][:2] == ["unroll", "serve"]
    assert "serve" in main.list_commands(click.Context(main))


def test_the_pod_ends_after_the_drain() -> None:
    sleep, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    drain = float(SETTINGS["UNROLL_DRAIN_SECONDS"])
    assert POD["terminationGracePeriodSeconds"] == float(seconds) + drain + 5
    assert float(seconds) > CONTAINER["readinessProbe"]["periodSeconds"]


def test_probes_ask_what_the_service_answers() -> None:
    (port,) = CONTAINER["ports"]
    assert port["containerPort"] == Settings.model_fields["port"].default
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["port"] == port["name"]
    paths = {
        probe: CONTAINER[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def test_the_pod_is_restricted() -> None:
    """The profile `restricted` of the Pod Security Standards, and a read-only root."""
    own, shared = CONTAINER["securityContext"], POD["securityContext"]
    assert shared["runAsNonRoot"] is True
    assert shared["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"] is True
    assert POD["automountServiceAccountToken"] is False
    assert all(volume.keys() == {"name", "emptyDir"} for volume in POD["volumes"])
    dockerfile = (KUBERNETES.parents[1] / "Dockerfile").read_text(encoding="utf8")
    (user,) = re.findall(r"--uid (\d+)", dockerfile)
    assert shared["runAsUser"] == int(user)


def test_autoscalers_ask_for_the_same_number() -> None:
    autoscaler = read(KUBERNETES / "components" / "monitoring" / "autoscaler.yaml")["spec"]
    scaled = read(KUBERNETES / "components" / "keda" / "scaled.yaml")["spec"]
    (metric,), (trigger,) = autoscaler["metrics"], scaled["triggers"]
    adapter = yaml.safe_load((KUBERNETES / "components" / "monitoring" / "prometheus-adapter.yaml").read_text())
    (rule,) = adapter["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert metric["pods"]["target"]["averageValue"] == trigger["metadata"]["threshold"]
    limits = autoscaler["minReplicas"], autoscaler["maxReplicas"]
    assert limits == (scaled["minReplicaCount"], scaled["maxReplicaCount"])


@needs_kubectl
def test_cores_and_memory_are_reserved_as_they_are_limited(overlay: dict[str, Manifest]) -> None:
    (container,) = overlay["Deployment/unroll"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def _environment(manifest: Manifest) -> list[dict[str, str]]:
    if manifest["kind"] != "Deployment":
        return []
    return [
        entry for container in manifest["spec"]["template"]["spec"]["containers"] for entry in container.get("env", ())
    ]
