"""Versions that are loaded by requests, as clients and administrators see them."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.engine.sizes import needed_bytes
from app.main import create_app
from app.settings import Settings
from app.store.model_store import inspect_version
from tests.conftest import engine_in_thread, serving, wait_until_ready
from tests.service.serving import metric, until
from tests.service.versions import KEY, put_version

NAME = "translate-en-ko"
LONG = {"inputs": "save the changes before closing", "min_tokens": 4000, "max_tokens": 4000}


@pytest.fixture
def address(tiny_store: Path, tmp_path: Path) -> Iterator[str]:
    """A service whose engine has room for one of three versions."""
    store = tmp_path / "store"
    shutil.copytree(tiny_store / NAME, store / NAME)
    for version in (2, 3):
        put_version(store, NAME, version)
    memory = needed_bytes(inspect_version(store / NAME / "1"))
    with (
        engine_in_thread(store, tmp_path, models_memory=memory) as endpoint,
        serving(create_app(Settings(store=store, admin_key=KEY), engines=[endpoint])) as address,
    ):
        wait_until_ready(address)
        yield address


def states(address: str) -> dict[int, str]:
    return {model["version"]: model["state"] for model in httpx.get(f"{address}/v1/models").json()["models"]}


def translate(address: str, version: int | None = None, **options: object) -> httpx.Response:
    chosen = {} if version is None else {"model": NAME, "version": version}
    return httpx.post(f"{address}/v1/translate", json={"inputs": "save the changes"} | options | chosen)


def test_the_state_of_each_version_is_shown(address: str) -> None:
    assert states(address) == {3: "loaded", 2: "available", 1: "available"}
    assert metric(address, "unroll_engine_models") == 1
    assert translate(address, 1).status_code == 200
    until(lambda: states(address) == {3: "available", 2: "available", 1: "loaded"})
    assert translate(address).json()["results"][0]["version"] == 3
    until(lambda: metric(address, "unroll_engine_evictions_total") == 2)
    assert 0 < metric(address, "unroll_engine_models_bytes") <= metric(address, "unroll_engine_models_memory_bytes")
    assert httpx.get(f"{address}/readyz").json()["models"] == [f"{NAME}/{version}" for version in (1, 2, 3)]
    assert httpx.get(f"{address}/v2/models/{NAME}/versions/1/ready").status_code == 200


def test_a_request_without_room_gets_a_503_and_can_be_sent_again(address: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(translate, address, 3, **LONG)
        until(lambda: metric(address, "unroll_engine_running") == 1)
        refused = translate(address, 1, timeout_ms=300)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/model-not-loaded"), refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert "models_memory" in refused.json()["detail"]
        assert states(address)[3] == "loaded"
        patient = translate(address, 1)  # waits until the long one has ended
        assert patient.status_code == 200
        assert long.result().status_code == 200


def test_an_administrator_loads_and_unloads_as_before(address: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as admin:
        assert admin.post(f"/v1/models/{NAME}/load", json={"version": 1}).status_code == 200
        until(lambda: states(address) == {3: "available", 2: "available", 1: "loaded"})
        assert admin.post(f"/v1/models/{NAME}/unload", json={"version": 2}).status_code == 200
        assert translate(address, 2).status_code == 404  # though an available version is loaded by its next request
        assert states(address).keys() == {3, 1}
        assert admin.post(f"/v2/repository/models/{NAME}/load", json={"parameters": {"version": 2}}).status_code == 200
        assert translate(address, 2).status_code == 200
        index = admin.post("/v2/repository/index").json()
        assert [(model["version"], model["state"]) for model in index] == [
            ("1", "READY"),
            ("2", "READY"),
            ("3", "READY"),
        ]
