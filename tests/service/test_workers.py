"""Several front ends that share engines and a port."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import PATIENCE
from tests.service.serving import Served, metric, serving, until

LONG = {"inputs": "save the changes before closing", "min_tokens": 4000, "max_tokens": 4000}


@contextmanager
def two_workers(store: Path, *options: str) -> Iterator[Served]:
    """A service with both workers ready."""
    with serving(store, "--workers", "2", "--engines", "1", *options) as served:
        until(lambda: len(serving_pids(served)) == 2)
        yield served


def serving_pids(served: Served) -> set[int]:
    """Workers with a connection to one of 16 new clients, all of which must get a response."""
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=served.address, timeout=2)) for _ in range(16)]
        try:
            if any(client.get("/readyz").status_code != 200 for client in clients):
                return set()
        except httpx.TransportError:  # a worker ended or hangs
            return set()
        return {worker.pid for worker in served.workers() if has_client(worker)}


def has_client(worker: psutil.Process) -> bool:
    """Whether a client is connected to the worker."""
    try:
        connections = worker.net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in connections)


def translate(address: str) -> httpx.Response:
    return httpx.post(f"{address}/v1/translate", json=LONG)


@pytest.mark.slow
def test_both_workers_serve_and_sigterm_lets_requests_end(tiny_store: Path) -> None:
    with two_workers(tiny_store) as served, ThreadPoolExecutor(8) as pool:
        children = psutil.Process(served.process.pid).children()
        assert len(served.engines()) == 1
        asked = [pool.submit(translate, served.address) for _ in range(8)]
        until(lambda: metric(served.address, "unroll_engine_running") == 8)
        served.process.send_signal(signal.SIGTERM)
        assert [future.result().status_code for future in asked] == [200] * 8
        assert served.process.wait(PATIENCE) == 0
        printed = served.whole_log()  # of a worker, whose exit status only its parent can read
        assert '"level":"error"' not in printed
        assert "Traceback" not in printed
        assert not any(child.is_running() for child in children)


@pytest.mark.parametrize("number", [signal.SIGSTOP, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_worker_that_ends_or_hangs_is_started_again(tiny_store: Path, number: signal.Signals) -> None:
    with two_workers(tiny_store, "--heartbeat-seconds", "10") as served:
        victim = served.workers()[0]
        engines = [engine.pid for engine in served.engines()]
        victim.send_signal(number)
        until(lambda: len(served.workers()) == 2 and victim.pid not in {worker.pid for worker in served.workers()})
        until(lambda: len(serving_pids(served)) == 2)
        assert [engine.pid for engine in served.engines()] == engines


@pytest.mark.slow
def test_all_end_with_the_parent(tiny_store: Path) -> None:
    with two_workers(tiny_store) as served:
        children = psutil.Process(served.process.pid).children()
        assert len(children) == 3
        served.process.kill()
        served.process.wait()
        psutil.wait_procs(children, timeout=PATIENCE)
        assert not any(child.is_running() for child in children)
