"""Engine processes: start, watch, start again. Never imports torch; the engine does, in its own process."""

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from app.engine.config import EngineConfig

log = logging.getLogger("unroll.engine")
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 5.0  # seconds between a death and the next start
_HEALTHY = 30.0  # seconds alive after which the backoff starts anew


class EngineProcess:
    """One engine, kept running by a thread until `stop`."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._stopping = threading.Event()
        self._spawning = threading.Lock()
        self._process = self._spawn()
        self._restarts = 0
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="engine-watcher")
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def restarts(self) -> int:
        return self._restarts

    def _spawn(self) -> subprocess.Popen[bytes]:
        one_thread = {"OMP_NUM_THREADS": str(self._config.threads), "MKL_NUM_THREADS": str(self._config.threads)}
        return subprocess.Popen(
            [sys.executable, "-m", "app.engine", msgspec.json.encode(self._config).decode()],
            stdin=subprocess.PIPE,
            env=os.environ | one_thread,
        )

    def _watch(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            started = time.monotonic()
            status = self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > _HEALTHY:
                backoff = _FIRST_BACKOFF
            log.error("engine %d ended with status %d; starting it again in %.1f s", self.pid, status, backoff)
            if self._stopping.wait(backoff):
                return
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            self._restarts += 1
            with self._spawning:
                if self._stopping.is_set():
                    return
                self._process = self._spawn()

    def stop(self, *, seconds: float = 5.0) -> None:
        """Let the engine end by itself; after `seconds` end it."""
        with self._spawning:
            self._stopping.set()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.error("engine %d did not end within %.0f s; killed", self.pid, seconds)
            self._process.kill()
            self._process.wait()


class EngineProcesses:
    """Several engines with the same settings, each behind a socket of its own in a private folder."""

    def __init__(self, config: EngineConfig, count: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="unroll-")
        self.endpoints = [f"ipc://{Path(self._folder.name) / f'engine-{index}'}" for index in range(count)]
        self._engines = [
            EngineProcess(msgspec.structs.replace(config, endpoint=endpoint)) for endpoint in self.endpoints
        ]

    @property
    def pids(self) -> list[int]:
        return [engine.pid for engine in self._engines]

    @property
    def restarts(self) -> int:
        return sum(engine.restarts for engine in self._engines)

    def stop(self) -> None:
        """Stop all, at the same time, and remove the sockets."""
        stoppers = [threading.Thread(target=engine.stop) for engine in self._engines]
        for thread in stoppers:
            thread.start()
        for thread in stoppers:
            thread.join()
        self._folder.cleanup()
