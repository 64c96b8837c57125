"""KServe's objects fit the schemas, and the service answers KServe's probes and paths as the runtime starts it."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.manifests import KSERVE, check, read
from tests.service.serving import serving

RUNTIME = read(KSERVE / "runtime.yaml")
(CONTAINER,) = RUNTIME["spec"]["containers"]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
SERVICES = {path.stem: read(path) for path in KSERVE.glob("*.yaml") if path.stem != "runtime"}


@pytest.mark.parametrize("path", sorted(KSERVE.glob("*.yaml")), ids=lambda path: str(path.stem))
def test_each_file_fits_its_schema(path: Path) -> None:
    check(read(path))


def test_the_runtime_serves_the_services() -> None:
    (served,) = RUNTIME["spec"]["supportedModelFormats"]
    for service in SERVICES.values():
        model = service["spec"]["predictor"]["model"]
        assert model["modelFormat"]["name"] == served["name"]
        assert model["protocolVersion"] in RUNTIME["spec"]["protocolVersions"]
    environment = {entry["name"]: entry["value"] for entry in CONTAINER["env"]}
    for service in SERVICES.values():
        grace = service["spec"]["predictor"]["terminationGracePeriodSeconds"]
        assert grace == float(environment["UNROLL_DRAIN_SECONDS"]) + 5


def options(folder: Path, name: str) -> list[str]:
    """The options with which KServe would start the container, for a folder and a port of the test."""
    command, serve, *rest = (argument.replace("{{.Name}}", name) for argument in CONTAINER["args"])
    assert (command, serve) == ("unroll", "serve")
    asked = dict(zip(rest[::2], rest[1::2], strict=True))
    assert asked["--store"] == "/mnt/models"
    ports = {
        asked["--port"],
        *(str(CONTAINER[probe]["httpGet"]["port"]) for probe in PROBES),
    }
    assert ports == {str(port["containerPort"]) for port in CONTAINER["ports"]}
    return ["--model-name", asked["--model-name"], "--engines", "1", "--store-cache", str(folder)]


def probed(http: httpx.Client) -> list[int]:
    return [http.get(CONTAINER[probe]["httpGet"]["path"]).status_code for probe in PROBES]


def labelled(http: httpx.Client, name: str) -> Any:
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a warm and funny film"]}
    answer = http.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]})
    answer.raise_for_status()
    return answer.json()


def test_one_version_answers_under_the_name_of_its_service(tiny_store: Path, tmp_path: Path) -> None:
    """The folder is read-only, as KServe mounts it."""
    models = Path(shutil.copytree(tiny_store / "sentiment-en" / "1", tmp_path / "models"))
    for path in (*models.iterdir(), models):
        path.chmod(path.stat().st_mode & ~0o222)
    name = SERVICES["one-version"]["metadata"]["name"]
    try:
        with (
            serving(models, *options(tmp_path / "cache", name)) as served,
            httpx.Client(base_url=served.address, timeout=60) as http,
        ):
            assert probed(http) == [200] * 3
            assert http.get(f"/v2/models/{name}/ready").status_code == 200
            assert labelled(http, name)["model_name"] == name
            assert http.get("/v2/models/sentiment-en").status_code == 404
    finally:
        models.chmod(0o755)


def test_a_store_answers_under_its_own_names(tiny_store: Path, tmp_path: Path) -> None:
    with (
        serving(tiny_store, *options(tmp_path / "cache", SERVICES["store"]["metadata"]["name"])) as served,
        httpx.Client(base_url=served.address, timeout=60) as http,
    ):
        assert probed(http) == [200] * 3
        assert labelled(http, "sentiment-en")["model_name"] == "sentiment-en"
