"""The reader of the service's log pipe, which can stop reading for a while. Writes the log into a file."""

import fcntl
import os
import select
import threading
from pathlib import Path
from typing import Self

_PIPE = 4096  # bytes, as small as Linux allows, so that it fills soon
_READ = 64 * 1024
_POLL_SECONDS = 0.1


class LogReader:
    """`descriptor` is the end of the pipe that the service writes into."""

    def __init__(self, path: Path) -> None:
        self._pipe, self.descriptor = os.pipe()
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        self._path = path
        self._reads = threading.Event()
        self._reads.set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="log reader")

    def stop(self) -> None:
        """Stop reading, so that the pipe fills."""
        self._reads.clear()

    def go_on(self) -> None:
        self._reads.set()

    def _read(self) -> None:
        with self._path.open("wb") as file:
            while True:
                self._reads.wait()
                ready, _, _ = select.select([self._pipe], [], [], _POLL_SECONDS)
                if ready and (data := os.read(self._pipe, _READ)):
                    file.write(data)
                elif ready or self._ended.is_set():
                    return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.descriptor)
        self._ended.set()
        self.go_on()
        self._thread.join()
        os.close(self._pipe)
