"""The template process: `python -m app.engine.template ORDERS`, started by `app.engine.forking`.

It imports torch and the engine once, then forks an engine for each order that it reads from its socket. It runs no
thread, since a fork has only the thread that forked. Engines die with it, and it ends when the socket does.
"""

# ruff: noqa: E402
import gc
import signal

for _number in (signal.SIGINT, signal.SIGTERM):  # those to the whole service: the front end drains first
    signal.signal(_number, signal.SIG_IGN)
gc.disable()  # as in `app.engine.__main__`

import ctypes
import os
import selectors
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from app.engine.__main__ import run
from app.engine.forking import NUMBER_BYTES, Order
from app.models.serving import native

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LARGEST_ORDER = 1 << 16  # bytes
_NAME_BYTES = 15  # that the system keeps of the name of a process


class Template:
    """Forks engines, and reports their process IDs and statuses."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._channels: dict[int, socket.socket] = {}  # of the engines that run, by process ID
        self._selector = selectors.DefaultSelector()
        self._ended, ended = socket.socketpair()
        for end in (self._ended, ended):
            end.setblocking(False)
        self._wakeup = ended
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(ended.fileno())
        self._selector.register(self._ended, selectors.EVENT_READ)
        self._selector.register(orders, selectors.EVENT_READ)

    def serve(self) -> tuple[Order, int] | None:
        """In a forked engine: its order, and the descriptor for its heartbeats. In the template: None, when the service
        is gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._ended:
                    self._reap()
                elif key.fileobj is self._orders:
                    order, descriptors, _, _ = socket.recv_fds(self._orders, _LARGEST_ORDER, 3)
                    if not order:
                        return None
                    standard_input, heartbeats, channel = descriptors
                    if self._fork(socket.socket(fileno=channel)):
                        os.close(standard_input)
                        os.close(heartbeats)
                    else:
                        os.dup2(standard_input, 0)
                        os.close(standard_input)
                        return msgspec.json.decode(order, type=Order), heartbeats
                elif key.data in self._channels:
                    self._obey(key.data)

    def _fork(self, channel: socket.socket) -> int:
        """As `os.fork`. The engine keeps nothing of the template's."""
        template = os.getpid()
        pid = os.fork()
        if pid:
            self._channels[pid] = channel
            self._selector.register(channel, selectors.EVENT_READ, pid)
            _write(channel, pid)
            return pid
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for held in (self._orders, self._ended, self._wakeup, channel, *self._channels.values()):
            held.close()
        _end_with(template)
        return pid

    def _obey(self, pid: int) -> None:
        """Kill an engine, as its supervisor wants; a supervisor that closed the channel wants nothing."""
        channel = self._channels[pid]
        with suppress(OSError):
            if channel.recv(1):
                os.kill(pid, signal.SIGKILL)
                return
        self._selector.unregister(channel)

    def _reap(self) -> None:
        """Report the statuses of the engines that ended."""
        with suppress(BlockingIOError):
            self._ended.recv(1024)
        while self._channels:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            channel = self._channels.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(channel)
            _write(channel, os.waitstatus_to_exitcode(status))
            channel.close()


def _write(channel: socket.socket, number: int) -> None:
    with suppress(OSError):  # the supervisor does not want it any more
        channel.sendall(number.to_bytes(NUMBER_BYTES, "big", signed=True))


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has just ended
        os._exit(1)


def _name(name: str) -> None:
    """Show this name of the process in `ps -o comm` and `top`."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name[:_NAME_BYTES])


def main() -> None:
    """Be the template, or the engine that it becomes."""
    _name("unroll-template")
    native.best_level()  # loads the kernels
    gc.freeze()
    work = Template(socket.socket(fileno=int(sys.argv[1]))).serve()
    if work is not None:
        order, heartbeats = work
        _name("unroll-engine")
        run(order.config, heartbeats=heartbeats, restarts=order.restarts)


if __name__ == "__main__":
    main()
