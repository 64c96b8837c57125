"""What the suite shares: a tiny store, and a real server over it."""

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.forking import EngineTemplate
from app.main import create_app
from app.server.front_end import FrontEnd
from app.settings import Settings
from app.tasks.registry import TASKS
from app.tasks.task import Task
from tests.tiny_numbers import make_number_store
from tests.tiny_store import make_tiny_store

START_SECONDS = 150  # for a service to start: a machine with other work is many times slower
PATIENCE = 100.0  # seconds, where a test waits for what must happen

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("UNROLL_LOG_REQUESTS", "false")  # no test of most services reads the log
os.environ.setdefault("UNROLL_REQUEST_SECONDS", str(PATIENCE))
os.environ.setdefault("UNROLL_HEARTBEAT_SECONDS", str(PATIENCE))
_usual = signature(httpx.get).parameters["timeout"].default  # of all functions and clients: 5 s
_usual.connect = _usual.read = _usual.write = _usual.pool = PATIENCE


# Services of several processes, trainings, benchmarks, and files of a second a test or of twenty seconds: far more than
# five minutes together. `make test` keeps shorter ones of each kind, and none in a browser.
_SLOW = tuple((Path(__file__).parent / "slow.txt").read_text(encoding="utf8").split())
_SHORT = ("service/test_addresses.py", "service/test_front_end.py", "training/test_registers.py")


def _is_slow(item: pytest.Item) -> bool:
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    in_browser = {"browser", "firefox"} & set(getattr(item, "fixturenames", ()))
    return bool(in_browser) or (path.startswith(_SLOW) and path not in _SHORT)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests. Folders with long files come first, or one process would be left with one at the end."""
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)
    long = [Path(__file__).parent / name for name in ("service", "web", "engine", "importers", "docs", "shipped")]
    items.sort(key=lambda item: item.path.parent not in long)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _one_certificate(tmp_path_factory: pytest.TempPathFactory) -> None:
    """HTTP clients load one certificate. All of them take 25 ms, in each of thousands of clients; no test uses TLS."""
    end = "-----END CERTIFICATE-----\n"
    first, _, _ = Path(certifi.where()).read_text(encoding="utf8").partition(end)
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(first + end, encoding="utf8")
    os.environ["SSL_CERT_FILE"] = str(file)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with small untrained models of all tasks; not to be changed by a test."""
    return make_tiny_store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def number_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with small untrained models of series, frames and tags; not to be changed by a test."""
    return make_number_store(tmp_path_factory.mktemp("numbers"))


@pytest.fixture(scope="session")
def template() -> Iterator[EngineTemplate]:
    """Engine processes that are its forks start in a fraction of a second."""
    process = EngineTemplate(threads=1)
    yield process
    process.close()


@pytest.fixture(scope="session")
def engine_endpoint(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real engine over the tiny store, in a thread."""
    with engine_in_thread(tiny_store, tmp_path_factory.mktemp("engine")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def server(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """The address of a real uvicorn on a free port, over the tiny store."""
    settings = Settings(store=tiny_store, max_body_bytes=3_000_000, max_image_bytes=2_000_000, max_inputs=64)
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    """A client of the server."""
    with httpx.Client(base_url=server, timeout=PATIENCE) as client:
        yield client


@contextmanager
def engine_in_thread(store: Path, folder: Path, **config: Any) -> Iterator[str]:
    """The endpoint of a real engine over a store, with its socket in `folder`. `config`: members of EngineConfig."""
    endpoint = f"ipc://{folder}/socket"
    engine = Engine(EngineConfig(endpoint=endpoint, store=str(store), device="cpu", **config))
    engine.load()
    thread = threading.Thread(target=engine.run)
    thread.start()
    try:
        yield endpoint
    finally:
        engine.stop()
        thread.join()


@contextmanager
def serving_store(store: Path, folder: Path, tasks: Sequence[Task] = TASKS, **settings: Any) -> Iterator[str]:
    """The address of a real server over a store, with its engine in a thread. A service of processes takes seconds."""
    of_service = Settings(store=store, **settings)
    with (
        engine_in_thread(store, folder, precision=of_service.precision) as endpoint,
        serving(create_app(of_service, tasks=tasks, engines=[endpoint])) as address,
    ):
        wait_until_ready(address)
        yield address


@contextmanager
def serving(app: FastAPI, listener: socket.socket | None = None) -> Iterator[str]:
    """The address of `app` on the server of `unroll serve`, at the `listener` or with a free port."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    with _in_thread(FrontEnd(app), [listener]):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The address of any ASGI app, such as a proxy, on a plain uvicorn with a free port."""
    web = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    with _in_thread(web):
        yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def _in_thread(web: uvicorn.Server, sockets: list[socket.socket] | None = None) -> Iterator[None]:
    thread = threading.Thread(target=web.run, args=(sockets,))
    thread.start()
    try:
        while not web.started:
            assert thread.is_alive(), "the server ended before it started"
            time.sleep(0.01)
        yield
    finally:
        web.should_exit = True
        thread.join()


def wait_until_ready(address: str, *, process: subprocess.Popen[str] | None = None) -> None:
    """Return when `/readyz` answers 200. Fails when the service's process has ended, or after a long time."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        has_ended = process is not None and process.poll() is not None
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert not has_ended, f"the process of {address} ended before it was ready"
        time.sleep(0.05)
    raise AssertionError(f"{address} was not ready within {START_SECONDS} s")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short path, unlike `tmp_path`: the paths of sockets in it are limited."""
    with tempfile.TemporaryDirectory(prefix="unroll-test-", dir="/tmp") as folder:
        yield Path(folder)
