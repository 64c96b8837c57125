"""`unroll serve` as a user starts it: a process that prints its port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import httpx
import psutil

from tests.conftest import START_SECONDS, wait_until_ready

DUMP_SECONDS = 10  # for the stacks of a process that does not start


@dataclass(frozen=True)
class Served:
    """A running service. `log` is what it has printed so far: a thread reads it, or the pipe would fill up."""

    process: subprocess.Popen[str]
    address: str
    log: list[str]
    reader: Thread

    def whole_log(self) -> str:
        """All that the service and its children print until they have ended."""
        self.reader.join()
        return "".join(self.log)

    def engines(self) -> list[psutil.Process]:
        """The engine processes that are alive: forks of the template."""
        found = []
        for template in self.children("app.engine.template"):
            with suppress(psutil.NoSuchProcess):
                found += template.children()
        return found

    def workers(self) -> list[psutil.Process]:
        """The front-end processes that are alive, when there are several."""
        return self.children("app.workers")

    def children(self, module: str) -> list[psutil.Process]:
        """Living child processes that run a module."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # the process has just ended
                if module in child.cmdline():
                    found.append(child)
        return found


@contextmanager
def serving(store: Path | str, *options: str) -> Iterator[Served]:
    """Start a service and wait until it is ready; end it after the test."""
    command = [sys.executable, "-m", "app", "serve", "--store", str(store), "--port", "0", "--devices", "cpu", *options]
    with started(command, r"(?<= on )http://127\.0\.0\.1:\d+") as served:
        if "--workers" in options:  # each front end reports its own, and a new connection may reach any of them
            until(lambda: all(httpx.get(f"{served.address}/readyz").status_code == 200 for _ in range(16)))
        yield served


@contextmanager
def started(command: Sequence[str], address: str, **environment: str) -> Iterator[Served]:
    """Run a server, and find its address in its output by the pattern `address`."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"} | environment,
    )
    log: list[str] = []
    reader = Thread(target=_read, args=(process, log), daemon=True)
    reader.start()
    try:
        with _telling_more(process, log, reader):
            served = Served(process, _address(process, log, address), log, reader)
            wait_until_ready(served.address, process=process)
        yield served
    finally:
        process.kill()
        process.wait()


def _read(process: subprocess.Popen[str], log: list[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        log.extend(process.stdout)


def _address(process: subprocess.Popen[str], log: list[str], address: str) -> str:
    """The first match of the pattern in the output."""
    found: list[re.Match[str]] = []

    def is_printed() -> bool:
        has_ended = process.poll() is not None
        found.extend(filter(None, (re.search(address, line) for line in list(log))))
        assert found or not has_ended, "the process ended without an address"
        return bool(found)

    until(is_printed, seconds=START_SECONDS)
    return found[0][0]


@contextmanager
def _telling_more(process: subprocess.Popen[str], log: list[str], reader: Thread) -> Iterator[None]:
    """Adds to a failure all that the process printed, and where each of its threads and those of its children were."""
    try:
        yield
    except AssertionError as failure:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            children = psutil.Process(process.pid).children(recursive=True)
            for pid in (*(child.pid for child in children), process.pid):
                os.kill(pid, signal.SIGABRT)  # faulthandler prints the threads
        reader.join(DUMP_SECONDS)
        raise AssertionError(f"{failure}; the service printed:\n{''.join(log)}") from None


def until(condition: Callable[[], bool], *, seconds: float = 100) -> None:
    """Return when the condition holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def metric(address: str, name: str) -> float:
    """Sum of a metric over its labels."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)
