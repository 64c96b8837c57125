"""`unroll serve` as a user starts it: a process that prints its port."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.conftest import wait_until_ready


@dataclass(frozen=True)
class Served:
    """A running service; `log` is its output before the address."""

    process: subprocess.Popen[str]
    address: str
    log: tuple[str, ...]

    def engines(self) -> list[psutil.Process]:
        """The engine processes that are alive."""
        return self.children("app.engine")

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
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(address, line):
                break
        else:
            raise AssertionError("it ended at once: " + "".join(lines))
        served = Served(process, found[0], tuple(lines))
        wait_until_ready(served.address)
        yield served
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Return when the condition holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def metric(address: str, name: str) -> float:
    """Sum of a metric over its labels."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)
