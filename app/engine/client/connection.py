"""The link to one engine: a plain ZeroMQ socket whose file descriptor the event loop watches."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import zmq

from app.engine.client.clock import EngineClock
from app.engine.protocol import (
    Message,
    Status,
    Submit,
    ToFrontEnd,
    pack,
    pack_submits,
    unpack_for_front_end,
)

_POLLIN = int(zmq.POLLIN)  # an enumeration's own arithmetic is slow
_BEAT_MS, _SILENCE_MS = 1000, 5000  # over a network: a machine that is gone closes no connection


class Connection:
    """Sends to one engine, and passes its messages and its end to `on_message` and `on_end`. No task runs for it: a
    request costs a share of one send and of one receive.

    The engine's last status is kept here; it is None while the engine starts or is gone. An engine that `is_leaving`
    gets no more requests, and answers those that it has. `place` is its number among the engines of now. An engine at a
    tcp `endpoint` may be on another machine; `key` is its public CURVE key, if it has one.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, place: int, key: bytes | None = None
    ) -> None:
        self.endpoint = endpoint
        self.place = place
        self.is_leaving = False
        self.status: Status | None = None
        self.models: frozenset[str] = frozenset()
        self.instance = ""
        self._socket = context.socket(zmq.DEALER)
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.linger = 0
        self._socket.immediate = True  # queues nothing for an engine that is not there
        self._socket.reconnect_ivl = 50
        self._clock: EngineClock | None = None
        if endpoint.startswith("tcp:"):
            self._clock = EngineClock()
            self._socket.heartbeat_ivl = _BEAT_MS
            self._socket.heartbeat_timeout = self._socket.heartbeat_ttl = _SILENCE_MS
        if key is not None:
            self._socket.curve_publickey, self._socket.curve_secretkey = zmq.curve_keypair()
            self._socket.curve_serverkey = key
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._socket.connect(endpoint)
        self._check_is_due = False
        self._submits: list[bytes] = []  # of this turn of the event loop
        self._loop: asyncio.AbstractEventLoop
        self._on_message: Callable[[Connection, ToFrontEnd], None]
        self._on_end: Callable[[Connection], None]

    def open(
        self,
        on_message: "Callable[[Connection, ToFrontEnd], None]",
        on_end: "Callable[[Connection], None]",
    ) -> None:
        """Start to watch the socket, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._on_message, self._on_end = on_message, on_end
        self._loop.add_reader(self._socket.fileno(), self._receive)
        self._loop.add_reader(self._monitor.fileno(), self._check_end)
        self._check_end()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_reader(self._monitor.fileno())
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)
        self.status = None

    def submit(self, submit: Submit) -> None:
        """Send a request, together with the others of this turn of the event loop."""
        self._submits.append(pack(submit if self._clock is None else self._clock.to_engine(submit)))
        self._check_soon()

    def send(self, message: Message) -> None:
        """Send, or drop the message if the engine is gone: `on_end`, or its next instance, follows."""
        self._send_submits()
        self._send(pack(message))
        self._check_soon()

    def _send_submits(self) -> None:
        if self._submits:
            submits, self._submits = self._submits, []
            self._send(pack_submits(submits))

    def _send(self, content: bytes) -> None:
        with suppress(zmq.Again):
            self._socket.send(content, zmq.NOBLOCK)

    def _check_soon(self) -> None:
        """A send may swallow the signal that a message has arrived."""
        if not self._check_is_due:
            self._check_is_due = True
            self._loop.call_soon(self._check)

    def _check(self) -> None:
        self._check_is_due = False
        if not self._socket.closed:
            self._send_submits()
            self._receive()

    def _receive(self) -> None:
        """Read all messages: the descriptor signals a change, not a message (ZMQ_FD in zmq_getsockopt(3))."""
        while _readable(self._socket):
            message = unpack_for_front_end(self._socket.recv(zmq.NOBLOCK))
            self._on_message(self, message if self._clock is None else self._clock.from_engine(message))

    def _check_end(self) -> None:
        """Pass on that the connection broke."""
        while _readable(self._monitor):
            self._monitor.recv_multipart(zmq.NOBLOCK)
            self._receive()  # what the engine sent before it ended
            self.status = None
            self._on_end(self)


def _readable(socket: zmq.Socket[bytes]) -> bool:
    events = socket.getsockopt(zmq.EVENTS)
    assert isinstance(events, int)
    return bool(events & _POLLIN)
