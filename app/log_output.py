"""Standard error for log lines: a thread writes them, so that a reader who stops never stops the process."""

import atexit
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress

_STDERR = 2
_MOST_LINES = 10_000  # that wait; further ones are dropped
_GATHER_SECONDS = 0.01  # in which lines gather
_LAST_SECONDS = 1.0  # for the lines that wait when the process ends


class LogOutput:
    """Queues lines and writes those that came together in one system call, of at most PIPE_BUF bytes, so that lines of
    several processes do not mix. It counts the lines that it drops while the queue is full, and says so when the reader
    goes on."""

    def __init__(self) -> None:
        self._lines = deque[str]()
        self._ready = threading.Event()
        self._is_empty = threading.Event()
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def write(self, line: str) -> None:
        """Queue a line. A lost line never fails the request."""
        if len(self._lines) >= _MOST_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._ready.is_set():
            self._ready.set()
        if self._thread is None:
            self._start()

    def flush(self, seconds: float = _LAST_SECONDS) -> None:
        """Wait until the queue is empty, for `seconds` at most."""
        if self._thread is not None and self._lines:
            self._is_empty.clear()
            self._ready.set()
            self._is_empty.wait(seconds)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="log-output")
                self._thread.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            self._ready.wait()
            time.sleep(_GATHER_SECONDS)
            self._ready.clear()
            left = len(self._lines)  # those that come meanwhile gather again
            while left > 0:
                lines = self._gathered()
                self._write(b"".join(lines))
                left -= len(lines)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._write(f"{dropped} log lines were dropped: the reader of standard error had stopped\n".encode())
            if not self._lines:
                self._is_empty.set()

    def _gathered(self) -> list[bytes]:
        """The next lines, as many as one atomic write takes; at least one."""
        gathered: list[bytes] = []
        size = 0
        while self._lines:
            line = self._lines[0].encode(errors="backslashreplace") + b"\n"
            size += len(line)
            if gathered and size > select.PIPE_BUF:
                break
            gathered.append(line)
            self._lines.popleft()
        return gathered

    def _write(self, lines: bytes) -> None:
        with suppress(OSError):
            os.write(_STDERR, lines)


LOG_OUTPUT = LogOutput()
