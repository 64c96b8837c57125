"""Ready means that every engine has loaded and warmed every model, not only the first."""

import time
from pathlib import Path

import httpx

from app.main import create_app
from app.settings import Settings
from tests.conftest import engine_in_thread, serving, wait_until_ready


def test_ready_when_the_last_engine_is(tiny_store: Path, engine_endpoint: str, tmp_path: Path) -> None:
    late = f"ipc://{tmp_path}/socket"
    app = create_app(Settings(store=tiny_store), engines=[engine_endpoint, late])
    with serving(app) as address:
        end = time.monotonic() + 100
        while httpx.get(f"{address}/readyz").json()["engines_ready"] == 0:
            assert time.monotonic() < end, "the first engine was never seen"
        first = httpx.get(f"{address}/readyz")
        assert (first.status_code, first.json()["status"]) == (503, "starting")
        assert httpx.post(f"{address}/v1/sentiment", json={"inputs": "a film"}).status_code == 200
        with engine_in_thread(tiny_store, tmp_path):
            wait_until_ready(address)
            assert httpx.get(f"{address}/readyz").json()["engines_ready"] == 2
