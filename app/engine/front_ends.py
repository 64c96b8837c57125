"""The engine's end of its links to the front ends: one ROUTER socket."""

from collections.abc import Iterator
from pathlib import Path

import zmq

from app.engine.protocol import Message, ToEngine, pack, unpack_for_engine


class FrontEnds:
    """Receives from all front ends and sends to each. `context` is shared for inproc endpoints. With a secret CURVE key
    in `key_file` only those that know its public key can connect."""

    def __init__(self, endpoint: str, context: zmq.Context[zmq.Socket[bytes]] | None, key_file: str = "") -> None:
        self._socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self._socket.router_mandatory = True
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.linger = 1000
        if key_file:
            self._socket.curve_secretkey = Path(key_file).read_bytes()
            self._socket.curve_server = True
        self._socket.bind(endpoint)

    def receive(self, *, wait_ms: int) -> Iterator[tuple[bytes, ToEngine]]:
        """The messages that have arrived, each with its sender. Waits at most `wait_ms` for the first one."""
        self._socket.poll(wait_ms)
        while True:
            try:
                client, frame = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield client, unpack_for_engine(frame)

    def send(self, client: bytes, message: Message) -> bool:
        """Send to one front end. False if it is gone."""
        try:
            self._socket.send_multipart([client, pack(message)])
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        return True

    def close(self) -> None:
        self._socket.close()
