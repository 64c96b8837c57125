"""The front end's side of the template process, of which engines are forks. Free of torch.

A template has imported torch and the engine, and runs no thread and no model. See
docs/adr/0026-engines-are-forks-of-a-template.md.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from app.engine.config import EngineConfig

NUMBER_BYTES = 8  # of the process ID and the exit status in a channel
_KERNELS = "128"  # that oneDNN keeps, one for each shape of its inputs; its default of 1,024 fills 100 MB in an hour
NVIDIA = Path("/dev/nvidiactl")  # exists with a GPU; only then torch counts the GPUs, which takes seconds
_LOOK_SECONDS = 0.02  # between two looks at what another thread may have read
_CAN_FORK = sys.platform == "linux"  # elsewhere libraries do not survive a fork


class Order(msgspec.Struct, frozen=True):
    """One engine to fork. Three descriptors come with it: its standard input, the pipe for its heartbeats, and its
    channel, into which the template writes the process ID and later the exit status, and from which it reads a byte for
    SIGKILL."""

    config: EngineConfig
    restarts: int


def engine_variables(threads: int) -> dict[str, str]:
    """Variables of the environment of an engine, or of its template."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": _KERNELS,
    }


def template_for(devices: str, threads: int) -> "EngineTemplate | None":
    """The template for engines with this setting of `devices`; None if they cannot fork: libraries of a GPU do not
    survive it."""
    is_for_cpu = not NVIDIA.exists() if devices == "auto" else "cpu" in devices.split(",")
    return EngineTemplate(threads) if _CAN_FORK and is_for_cpu else None


class EngineTemplate:
    """A template process for engines with this number of threads. It starts at once, and again if it is gone when an
    engine is to start. Its engines end when it does."""

    def __init__(self, threads: int) -> None:
        self._variables = os.environ | engine_variables(threads)
        self._forking = threading.Lock()
        self._start()

    def fork(self, config: EngineConfig, heartbeats: int, restarts: int) -> "Fork":
        """An engine, which runs as soon as the template has imported all."""
        order = msgspec.json.encode(Order(config, restarts))
        reading, writing = os.pipe()
        own, channel = socket.socketpair()
        try:
            with channel, self._forking:
                if self._process.poll() is not None:
                    self._orders.close()
                    self._start()
                with suppress(OSError):  # it has just ended, and so has the engine
                    socket.send_fds(self._orders, [order], [reading, heartbeats, channel.fileno()])
        finally:
            os.close(reading)
        return Fork(own, writing)

    def close(self) -> None:
        """End the template, and the engines that still run."""
        self._orders.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self._orders, orders = socket.socketpair(type=socket.SOCK_SEQPACKET)  # one packet for each order
        with orders:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "app.engine.template", str(orders.fileno())],
                stdin=subprocess.DEVNULL,
                env=self._variables,
                pass_fds=(orders.fileno(),),
            )


class Fork:
    """An engine that a template forked: see `app.supervisor.Child`. Only the template can wait for it, and sends its
    status by the channel."""

    def __init__(self, channel: socket.socket, standard_input: int) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._input: int | None = standard_input
        self._lock = threading.Lock()
        self._received = b""
        self._has_ended = False

    @property
    def pid(self) -> int:
        """Its process ID; 0 if the template ended before."""
        while len(self._received) < NUMBER_BYTES and not self._has_ended:
            self._receive(_LOOK_SECONDS)
        return _number(self._received[:NUMBER_BYTES])

    def poll(self) -> int | None:
        """See `Child.poll`."""
        self._receive(0)
        if not self._has_ended:
            return None
        self.request_stop()
        status = self._received[NUMBER_BYTES:]
        return _number(status) if status else -signal.SIGKILL  # with the template

    def wait(self, timeout: float | None = None) -> int:
        """See `Child.wait`."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired("app.engine.template", timeout or 0)
            self._receive(_LOOK_SECONDS)
        return status

    def kill(self) -> None:
        """See `Child.kill`."""
        with suppress(OSError):  # it has ended
            self._channel.send(b"k")

    def request_stop(self) -> None:
        """See `Child.request_stop`."""
        with self._lock:
            if self._input is not None:
                os.close(self._input)
                self._input = None

    def _receive(self, seconds: float) -> None:
        """Read what the template writes within `seconds`. Any thread may call this, and another one may read it."""
        if not _is_readable(self._channel, seconds):
            return
        with self._lock:
            try:
                content = self._channel.recv(2 * NUMBER_BYTES)
            except BlockingIOError:  # another thread has read it
                return
            except ConnectionError:  # the template ended before it read an order to kill
                content = b""
            self._received += content
            self._has_ended = not content or len(self._received) == 2 * NUMBER_BYTES


def _is_readable(channel: socket.socket, seconds: float) -> bool:
    poll = select.poll()  # `select.select` is limited to the first 1,024 descriptors
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _number(content: bytes) -> int:
    return int.from_bytes(content, "big", signed=True)
