"""Starts, watches and ends a real `unroll serve` on a free port."""

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

TEMPLATE = "app.engine.template"  # in the command of the template, and of the engines that are forks of it
_START_SECONDS, _STOP_SECONDS = 600.0, 30.0
_STATUS_SECONDS = 0.5  # until the front end has the engines' counters


class ServiceFailed(Exception):
    """The service did not start. The message contains the end of its log."""


@dataclass(frozen=True)
class Service:
    """A service with all its engines ready."""

    port: int
    engines: int
    pid: int

    def counters(self) -> dict[str, float]:
        """The engines' counters, by their names in `/metrics` without prefix and suffix."""
        time.sleep(_STATUS_SECONDS)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        counted: dict[str, float] = {}
        for name, value in re.findall(r"^unroll_engine_(\w+)_total\{\S+\} (\S+)$", text, re.M):
            counted[name] = counted.get(name, 0.0) + float(value)
        return counted

    def counted_since(self, before: dict[str, float]) -> dict[str, float]:
        """The increase of the counters."""
        return {name: value - before.get(name, 0.0) for name, value in self.counters().items()}


def engines_of(service: psutil.Process) -> list[psutil.Process]:
    """The engine processes of a service on a CPU."""
    templates = [child for child in service.children() if TEMPLATE in child.cmdline()]
    return [engine for template in templates for engine in template.children()]


@contextmanager
def running_service(
    store: Path,
    engines: int,
    *more: str,
    unroll: Path | None = None,
    log: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """`unroll serve`, with `more` options, until the block ends, then SIGTERM. `unroll` is the command, by default that
    of this environment; `log` the descriptor that receives its log, by default a temporary file; `environment` has
    variables to add. Raises ServiceFailed when it does not get ready."""
    options = ["--port", "0", "--store", str(store), "--engines", str(engines), "--devices", "cpu", *more]
    with (
        tempfile.TemporaryFile("w+") as own_log,
        subprocess.Popen(
            [str(unroll or Path(sys.executable).with_name("unroll")), "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=own_log if log is None else log,
            text=True,
            env=os.environ | (environment or {}),
        ) as process,
    ):
        try:
            end = time.monotonic() + _START_SECONDS
            port = _address(process, end)
            count = _ready(process, port, end) if port else None
            if port is None or count is None:
                own_log.seek(0)
                raise ServiceFailed(f"unroll serve did not get ready; the end of its log:\n{own_log.read()[-2000:]}")
            yield Service(port, count, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()  # its engines end when it does


def _address(process: subprocess.Popen[str], end: float) -> int | None:
    """The port in the service's greeting."""
    assert process.stdout is not None
    spoke, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
    for line in process.stdout if spoke else ():
        if found := re.search(r"http://[^ ]+:(\d+)", line):
            return int(found[1])
    return None


def _ready(process: subprocess.Popen[str], port: int, end: float) -> int | None:
    """Wait until every engine is ready (/readyz needs only one). Returns their number."""
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                state = json.load(answer)
            if state["engines_ready"] == state["engines"]:
                return int(state["engines"])
        except OSError:  # not listening yet, or 503
            pass
        time.sleep(0.1)
    return None
