"""A child process that is kept running: started, watched, started again when it ends or falls silent.

Parent and child hold the ends of two pipes. Through one, the child's standard input, the child learns that the parent
is gone. Into the other the child writes a byte now and then, a beat: one that hangs is known by its silence.
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

log = logging.getLogger("unroll.processes")
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 5.0  # seconds between a death and the next start
_HEALTHY = 30.0  # seconds alive after which the backoff starts anew
_START_SECONDS = 900.0  # of silence before the first beat, while models are loaded
_LOOK_SECONDS = 1.0  # longest time between two looks at a child
_BEAT_SECONDS = 0.1  # shortest time between two beats


def beat_into(pipe: int) -> Callable[[], None]:
    """The child's side: a function that writes into `pipe`, so cheap that it may be called at every step."""
    os.set_inheritable(pipe, False)
    next_beat = 0.0

    def beat() -> None:
        nonlocal next_beat
        now = time.monotonic()
        if now >= next_beat:
            next_beat = now + _BEAT_SECONDS
            with suppress(OSError):  # full, as the parent is stopped, or closed, as it is gone
                os.write(pipe, b".")

    return beat


@dataclass(frozen=True)
class Running:
    """One start of the child. `beats` is the reading end of a pipe in which it tells that it is alive."""

    process: subprocess.Popen[bytes]
    beats: int


def await_parent() -> None:
    """The child's side: return when the parent is gone, or wants this process to end."""
    while os.read(0, 4096):  # not by way of `sys.stdin`, whose lock would be in the way at exit
        pass


class Child:
    """Kept running by a thread until `stop`. The last two arguments of its command are the number of the pipe for its
    beats and how often it was started before; after `silence` seconds without a beat it is killed, other than while it
    starts or stops."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: dict[str, str] | None = None,
        descriptors: Sequence[int] = (),
        silence: float,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = os.environ | (environment or {})
        self._descriptors = descriptors
        self._silence = silence
        self._starts = 0
        self._stopping = threading.Event()
        self._spawning = threading.Lock()
        self._running = self._spawn()
        threading.Thread(target=self._watch, daemon=True, name=f"{name}-watcher").start()

    @property
    def pid(self) -> int:
        return self._running.process.pid

    def ask_to_end(self) -> None:
        """Make the child end by itself: here, by the end of its standard input."""
        stdin = self._running.process.stdin
        assert stdin is not None
        stdin.close()

    def stop(self, *, seconds: float) -> None:
        """Let the child end by itself; after `seconds` end it."""
        with self._spawning:
            self._stopping.set()
        process = self._running.process
        self.ask_to_end()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.error("%s (process %d) did not end within %.0f s; killed", self.name, process.pid, seconds)
            process.kill()
            process.wait()

    def _spawn(self) -> Running:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)  # a beat never waits for this process
        try:
            process = subprocess.Popen(
                [*self._command, str(writing), str(self._starts)],
                stdin=subprocess.PIPE,
                env=self._environment,
                pass_fds=(*self._descriptors, writing),
            )
        finally:
            os.close(writing)
        self._starts += 1
        return Running(process, reading)

    def _watch(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            started = time.monotonic()
            status = self._await_end(self._running)
            os.close(self._running.beats)
            if self._stopping.is_set():
                return
            if time.monotonic() - started > _HEALTHY:
                backoff = _FIRST_BACKOFF
            log.error(
                "%s (process %d) ended with status %d; starting it again in %.1f s",
                self.name,
                self.pid,
                status,
                backoff,
            )
            if self._stopping.wait(backoff):
                return
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            with self._spawning:
                if self._stopping.is_set():
                    return
                self._running = self._spawn()

    def _await_end(self, running: Running) -> int:
        """Exit status of the child, which is killed when it falls silent. Silence is counted in looks of this thread:
        when the whole service was stopped for a while, nobody is to blame."""
        process, silent = running.process, 0.0
        limit, look = _START_SECONDS, min(_LOOK_SECONDS, self._silence / 5)
        poll = select.poll()
        poll.register(running.beats, select.POLLIN)
        while process.poll() is None:
            if not poll.poll(look * 1000):
                silent += look
            elif os.read(running.beats, 4096):
                silent, limit = 0.0, self._silence
            else:
                break  # it closed the pipe, as it ends
            if silent >= limit and not self._stopping.is_set():
                log.error("%s (process %d) has said nothing for %.0f s; killed", self.name, process.pid, silent)
                process.kill()
                break
        return process.wait()
