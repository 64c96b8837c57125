"""Real engines in threads and real services over them, from which examples are recorded."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from fastapi import FastAPI

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from tests.conftest import serving, wait_until_ready


@contextmanager
def running_engine(config: EngineConfig) -> Iterator[Callable[[], None]]:
    """An engine that has loaded its models, and the function that ends it."""
    engine = Engine(config)
    engine.load()
    thread = threading.Thread(target=engine.run)

    def stop() -> None:
        engine.stop()
        thread.join()

    thread.start()
    try:
        yield stop
    finally:
        stop()


@contextmanager
def client_of(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of a service, which need not be ready."""
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as http:
        yield http


@contextmanager
def client_of_ready(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of a service that has a ready engine."""
    with client_of(app) as http:
        wait_until_ready(str(http.base_url).rstrip("/"))
        yield http
