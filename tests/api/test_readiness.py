"""Ready means that every engine has loaded and warmed every model, not only the first."""

import threading
import time
from pathlib import Path

import httpx

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.main import create_app
from app.settings import Settings
from tests.conftest import serving, wait_until_ready


def test_ready_when_the_last_engine_is(tiny_store: Path, engine_endpoint: str, tmp_path: Path) -> None:
    late = f"ipc://{tmp_path}/late"
    app = create_app(Settings(store=tiny_store), engines=[engine_endpoint, late])
    with serving(app) as address:
        end = time.monotonic() + 20
        while httpx.get(f"{address}/readyz").json()["engines_ready"] == 0:
            assert time.monotonic() < end, "the first engine was never seen"
        first = httpx.get(f"{address}/readyz")
        assert (first.status_code, first.json()["status"]) == (503, "starting")
        assert httpx.post(f"{address}/v1/sentiment", json={"inputs": "a film"}).status_code == 200
        engine = Engine(EngineConfig(endpoint=late, store=str(tiny_store), device="cpu"))
        engine.load()
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            wait_until_ready(address)
            assert httpx.get(f"{address}/readyz").json()["engines_ready"] == 2
        finally:
            engine.stop()
            thread.join()
