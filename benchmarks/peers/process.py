"""A server as a process of its own: started on a free port, waited for, weighed, and ended with all it started."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.inputs import Workload
from benchmarks.peers.servers import Server

START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_CALM_SECONDS, _CALM_CORES = 30.0, 0.3  # the longest wait for workers that load, and what an idle server may use


class ServerFailed(Exception):
    """A server did not start, or does not answer; the message is the last line of its log, or its answer."""


@dataclass(frozen=True)
class Running:
    """A server that has answered a request and come to rest."""

    port: int
    process: psutil.Process

    def megabytes(self) -> float:
        """Memory of the server and all its processes, pages that they share counted once (PSS)."""
        total = 0
        for process in _tree(self.process):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # has ended
                continue
        return total / 1e6


@contextmanager
def running(server: Server, work: Workload) -> Iterator[Running]:
    """A server of a job until the block ends. Raises ServerFailed when it does not come up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    environment = os.environ | {"PEERS_FOLDER": str(work.folder.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.peers.servers.{server.module}", work.job, str(port)]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        started = psutil.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(started, port, work, log.fileno())
            _rest(started)
            yield Running(port, started)
        finally:
            _end(started)


def ask(port: int, work: Workload, body: bytes) -> Any:
    """The JSON answer to one request. Raises OSError or ValueError."""
    headers = {"Content-Type": work.content_type}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{work.path}", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _wait(started: psutil.Popen, port: int, work: Workload, log: int) -> None:
    """Return when a request is answered with 200."""
    end, last = time.monotonic() + START_SECONDS, "no answer"
    while time.monotonic() < end:
        if started.poll() is not None:
            raise ServerFailed(f"it ended with status {started.returncode}: {_last_line(log)}")
        try:
            ask(port, work, work.bodies[0])
            return
        except urllib.error.HTTPError as error:
            last = f"{error.code} {error.read()[:200].decode(errors='replace')}"
        except (OSError, ValueError) as error:
            last = str(error)
        time.sleep(0.2)
    raise ServerFailed(f"not ready within {START_SECONDS:.0f} s: {last}; {_last_line(log)}")


def _last_line(log: int) -> str:
    """What says most in a log: its last line that is not empty."""
    lines = Path(f"/proc/self/fd/{log}").read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def _rest(started: psutil.Popen) -> None:
    """Wait until workers that are still loading are done, which shows in the processor time of them all."""
    end, before = time.monotonic() + _CALM_SECONDS, _seconds(started)
    while time.monotonic() < end:
        time.sleep(1.0)
        now = _seconds(started)
        if now - before < _CALM_CORES:
            return
        before = now


def _seconds(root: psutil.Process) -> float:
    """Processor time of a tree of processes."""
    total = 0.0
    for process in _tree(root):
        try:
            times = process.cpu_times()
            total += times.user + times.system
        except psutil.Error:
            continue
    return total


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _session(leader: int) -> list[psutil.Process]:
    """Processes of a session, which they stay in when the one that started them has died."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                found.append(process)
        except ProcessLookupError:
            continue
    return found


def _end(started: psutil.Popen) -> None:
    """SIGTERM to the server, which ends its own; then SIGKILL to those of its processes that are left."""
    tree = list(dict.fromkeys([*_tree(started), *_session(started.pid)]))
    try:
        started.terminate()
        started.wait(_STOP_SECONDS)
    except psutil.Error:
        pass
    _, left = psutil.wait_procs(tree, timeout=2)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5)
