"""A child process under supervision: started, watched, and restarted when it ends or hangs.

Parent and child hold the ends of two pipes. The child's standard input ends when the parent dies. Into the other pipe
the child writes heartbeats; a child without heartbeats hangs, and is killed.
"""

import logging
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger("unroll.processes")
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 5.0  # seconds between a death and the restart
_HEALTHY = 30.0  # seconds alive after which the backoff is reset
_START_SECONDS = 900.0  # default limit for the first heartbeat, while models are loaded
_LONGEST_POLL = 1.0  # seconds between two looks at a child
_BEAT_SECONDS = 0.1  # shortest time between two heartbeats


def heartbeat_into(pipe: int) -> Callable[[], None]:
    """In the child: a function that writes heartbeats into `pipe`, cheap enough for every step."""
    os.set_inheritable(pipe, False)
    next_beat = 0.0

    def beat() -> None:
        nonlocal next_beat
        now = time.monotonic()
        if now >= next_beat:
            next_beat = now + _BEAT_SECONDS
            with suppress(OSError):  # full: the parent is stopped; closed: it is gone
                os.write(pipe, b".")

    return beat


def wait_for_parent_end() -> None:
    """In the child: return when the parent is gone, or asks this process to end."""
    while os.read(0, 4096):  # not `sys.stdin`, whose lock blocks the exit
        pass


class Child(Protocol):
    """A running process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, when it has ended. Raises TimeoutExpired."""

    def kill(self) -> None: ...

    def request_stop(self) -> None:
        """Ask it to end by itself."""


Start = Callable[[int, int], Child]  # the writing end of the pipe for heartbeats, the number of restarts


class Program(subprocess.Popen[bytes]):
    """A child with a program of its own."""

    def request_stop(self) -> None:
        """See `Child.request_stop`: here, by closing its standard input."""
        assert self.stdin is not None
        self.stdin.close()


def spawn(
    command: Sequence[str],
    *,
    environment: dict[str, str] | None = None,
    descriptors: Sequence[int] = (),
    kind: type[Program] = Program,
) -> Start:
    """Starts a program. Two arguments are added to its command: the number of the pipe for its heartbeats, and how
    often it was restarted."""
    variables = os.environ | (environment or {})

    def start(heartbeats: int, restarts: int) -> Child:
        return kind(
            [*command, str(heartbeats), str(restarts)],
            stdin=subprocess.PIPE,
            env=variables,
            pass_fds=(*descriptors, heartbeats),
        )

    return start


@dataclass(frozen=True)
class _Started:
    """One start of the child; `heartbeats` is the reading end of their pipe."""

    process: Child
    heartbeats: int


class SupervisedProcess:
    """A child that a thread keeps running until `stop`; `start` starts it. Without a heartbeat for `heartbeat_seconds`
    it is killed, except while it stops; its first heartbeat may take `start_seconds`."""

    def __init__(
        self, name: str, start: Start, *, heartbeat_seconds: float, start_seconds: float = _START_SECONDS
    ) -> None:
        self.name = name
        self._start_child = start
        self._heartbeat_seconds = heartbeat_seconds
        self._start_seconds = start_seconds
        self._starts = 0
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._current = self._start()
        threading.Thread(target=self._watch, daemon=True, name=f"{name}-watcher").start()

    @property
    def pid(self) -> int:
        return self._current.process.pid

    def stop(self, *, seconds: float) -> None:
        """Ask the child to end; after `seconds` kill it."""
        with self._starting:
            self._stopping.set()
        process = self._current.process
        process.request_stop()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.error("%s (process %d) did not end within %.0f s; killed", self.name, process.pid, seconds)
            process.kill()
            process.wait()

    def _start(self) -> _Started:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)  # a heartbeat never waits for this process
        try:
            process = self._start_child(writing, self._starts)
        finally:
            os.close(writing)
        self._starts += 1
        return _Started(process, reading)

    def _watch(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            started = time.monotonic()
            status = self._wait(self._current)
            os.close(self._current.heartbeats)
            if self._stopping.is_set():
                return
            if time.monotonic() - started > _HEALTHY:
                backoff = _FIRST_BACKOFF
            log.error(
                "%s (process %d) ended with status %d; restarting it in %.1f s", self.name, self.pid, status, backoff
            )
            if self._stopping.wait(backoff):
                return
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            with self._starting:
                if self._stopping.is_set():
                    return
                self._current = self._start()

    def _wait(self, current: _Started) -> int:
        """Exit status of the child; kills it when heartbeats are missing. Silence is counted in polls of this thread: a
        child is not blamed if the whole service was stopped for a while."""
        process, silent = current.process, 0.0
        limit, interval = self._start_seconds, min(_LONGEST_POLL, self._heartbeat_seconds / 5)
        poll = select.poll()
        poll.register(current.heartbeats, select.POLLIN)
        while process.poll() is None:
            if not poll.poll(interval * 1000):
                silent += interval
            elif os.read(current.heartbeats, 4096):
                silent, limit = 0.0, self._heartbeat_seconds
            else:
                break  # it closed the pipe: it ends
            if silent >= limit and not self._stopping.is_set():
                log.error("%s (process %d) sent no heartbeat for %.0f s; killed", self.name, process.pid, silent)
                process.kill()
                break
        return process.wait()


def stop_all(processes: Sequence[SupervisedProcess], *, seconds: float) -> None:
    """Stop all at the same time."""
    threads = [threading.Thread(target=process.stop, kwargs={"seconds": seconds}) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
