"""Engines that are forks of a template process."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from app.engine.config import EngineConfig
from app.engine.forking import EngineTemplate, Fork, template_for
from app.engine.process import EngineProcesses
from tests.conftest import PATIENCE


@pytest.fixture
def own_template() -> Iterator[EngineTemplate]:
    """A template that a test may kill."""
    process = EngineTemplate(threads=1)
    yield process
    process.close()


@contextmanager
def forked(template: EngineTemplate, store: Path, endpoint: Path) -> Iterator[Fork]:
    """An engine whose heartbeats nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    engine = template.fork(EngineConfig(endpoint=f"ipc://{endpoint}", store=str(store), device="cpu"), writing, 0)
    os.close(writing)
    try:
        os.read(reading, 1)  # it runs
        yield engine
    finally:
        engine.kill()
        engine.wait(PATIENCE)
        os.close(reading)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_an_engine_ends_when_it_is_asked_to(template: EngineTemplate, tiny_store: Path, short_path: Path) -> None:
    with forked(template, tiny_store, short_path / "engine") as engine:
        assert engine.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            engine.wait(0.01)
        os.kill(engine.pid, signal.SIGINT)  # as Ctrl-C does to a whole service
        engine.request_stop()
        assert engine.wait(PATIENCE) == 0
        assert engine.poll() == 0


def test_the_status_of_a_killed_engine_is_its_signal(
    template: EngineTemplate, tiny_store: Path, short_path: Path
) -> None:
    with (
        forked(template, tiny_store, short_path / "first") as killed,
        forked(template, tiny_store, short_path / "second") as aborted,
    ):
        assert psutil.Process(killed.pid).name() == "unroll-engine"
        assert psutil.Process(killed.pid).parent() == psutil.Process(aborted.pid).parent()
        killed.kill()
        assert killed.wait(PATIENCE) == -signal.SIGKILL
        assert aborted.poll() is None
        os.kill(aborted.pid, signal.SIGABRT)
        assert aborted.wait(PATIENCE) == -signal.SIGABRT


def test_an_engine_holds_no_descriptor_of_another(template: EngineTemplate, tiny_store: Path, short_path: Path) -> None:
    with (
        forked(template, tiny_store, short_path / "first"),
        forked(template, tiny_store, short_path / "second") as second,
    ):
        of_template = _links(psutil.Process(second.pid).ppid())
        private = {name for name in of_template if name.startswith("socket:")} - _links("self")
        assert private
        assert not private & _links(second.pid)


def _links(pid: int | str) -> set[str]:
    """What the descriptors of a process stand for."""
    links = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # that of this listing
            links.add(os.readlink(entry))
    return links


def test_engines_end_with_their_template_and_start_again_with_another(
    own_template: EngineTemplate, tiny_store: Path
) -> None:
    config = EngineConfig(endpoint="", store=str(tiny_store))
    engines = EngineProcesses(config, ["cpu", "cpu"], heartbeat_seconds=PATIENCE, template=own_template)
    try:
        first = [psutil.Process(pid) for pid in engines.pids]
        parent = first[0].parent()
        assert parent is not None
        parent.kill()
        psutil.wait_procs(first, timeout=PATIENCE)
        assert not any(engine.is_running() for engine in first)
        until(lambda: not set(engines.pids) & {0, *(engine.pid for engine in first)})
        assert {psutil.Process(pid).ppid() for pid in engines.pids}.isdisjoint({parent.pid})
        assert len({psutil.Process(pid).ppid() for pid in engines.pids}) == 1
    finally:
        engines.stop()


@pytest.mark.parametrize("devices", ["cuda:0", "cuda:0,cuda:1"])
def test_engines_of_gpus_have_no_template(devices: str) -> None:
    assert template_for(devices, threads=1) is None
