"""A service for `unroll try`: one that runs, or one of a single model, started here and ended with the prompt."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from unroll_client import NotAllowed, Timeout, Unroll, UnrollClientError
from unroll_client.service_info import ModelInfo

from app.store.listing import list_store

_LOOK = Timeout(connect=2.0, total=30.0)  # a service that is not there refuses the connection
_START_SECONDS = 300.0
_STOP_SECONDS = 30.0
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def served_models(url: str, api_key: str | None) -> list[ModelInfo] | None:
    """The models of a running service; None if no service answers. Raises click.ClickException if it needs a key."""
    try:
        with Unroll(url, api_key=api_key, timeout=_LOOK, retries=1) as client:
            return client.models().models
    except NotAllowed as error:
        raise click.ClickException(f"{url}: {error}; set --api-key") from error
    except (UnrollClientError, ValueError):
        return None


def version_in(store: Path, model: str) -> Path | None:
    """The folder of NAME/VERSION, or of the default version of NAME, which is the newest unless another is set."""
    listing = list_store(store)
    name, _, version = model.partition("/")
    numbers = [int(key.rpartition("/")[2]) for key in listing.folders if key.rpartition("/")[0] == name]
    chosen = version or listing.defaults.get(name) or max(numbers, default=0)
    return listing.folders.get(f"{name}/{chosen}")


@contextmanager
def own_service(version: Path) -> Iterator[str]:
    """The address of a service that has this version alone. Raises click.ClickException if it does not start."""
    with tempfile.TemporaryDirectory(prefix="unroll-try-") as folder:
        copy = Path(folder) / "store" / version.parent.name / version.name
        shutil.copytree(version, copy, copy_function=_link)
        log = Path(folder) / "log"
        process = _start(copy.parents[1], log)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _link(source: str, target: str) -> None:
    """The same file under a second name: a store takes no symbolic link out of it. A copy on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _start(store: Path, log: Path) -> subprocess.Popen[bytes]:
    options = ("--store", str(store), "--port", "0", "--engines", "1", "--log-level", "warning", "--no-log-requests")
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "app", "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith("UNROLL_")},
            start_new_session=True,  # Ctrl-C stops an answer, not the service
        )


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _ADDRESS.search(log.read_text(encoding="utf8", errors="replace")):
            with Unroll(found[0], api_key="", timeout=_LOOK, retries=1) as client:
                if _is_ready(client):
                    return found[0]
        time.sleep(0.1)
    raise click.ClickException(f"the service does not start:\n{log.read_text(encoding='utf8', errors='replace')}")


def _is_ready(client: Unroll) -> bool:
    """Raises click.ClickException for a version that cannot be served."""
    try:
        readiness = client.ready()
    except UnrollClientError:
        return False
    if readiness.broken:
        raise click.ClickException("; ".join(f"{broken.model}: {broken.reason}" for broken in readiness.broken))
    return bool(readiness)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A signal that would end this process runs the `finally` of `own_service` first."""
    leaving = threading.Event()
    prompt = threading.get_ident()
    bell, ring = socket.socketpair()
    ring.setblocking(False)

    def leave(number: int, _: object) -> None:
        if not leaving.is_set():
            leaving.set()
            raise SystemExit(128 + number)

    def repeat() -> None:
        """A signal just before readline waits for a key runs no handler: the next one ends that wait."""
        while number := bell.recv(1):
            while number[0] in before and not leaving.wait(0.1):
                signal.pthread_kill(prompt, number[0])

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    bell_before = signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=repeat, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(bell_before)
        ring.close()
        for number, handler in before.items():
            signal.signal(number, handler)
