"""The HTTP server of a front end: uvicorn, with connections of our own."""

import asyncio
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvicorn
from fastapi import FastAPI

from app.server.acceptor import Acceptor
from app.server.bodies import Bodies
from app.server.connections import Connections, most_connections
from app.server.limits import ConnectionLimits
from app.server.parts import ServerParts
from app.server.protocol import HttpProtocol
from app.server.responses import Responses
from app.settings import Settings
from app.turns import Turns

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BACKLOG = 4096
_LAST_MOMENT = 1.0  # seconds in which a new connection may still send a request when the service ends
_ACCEPTED = 16  # connections that one turn of the event loop accepts


def server_parts(app: FastAPI, settings: Settings) -> ServerParts:
    """What the connections share."""
    limits = ConnectionLimits(
        head_seconds=settings.head_seconds,
        body_seconds=settings.request_seconds,
        idle_seconds=settings.idle_seconds,
        stream_seconds=settings.stream_seconds,
        piece_bytes=settings.max_piece_bytes,
        bodies=min(ConnectionLimits.bodies, most_connections() // 2),
        body_bytes=8 * settings.max_body_bytes,
    )
    return ServerParts(
        limits=limits,
        bodies=Bodies(limits),
        turns=Turns(),
        parsing=Turns(),
        check=app.state.head_check,
        report=app.state.refusal_report,
        with_cors=bool(settings.cors_origins),
        responses=Responses(hsts_seconds=settings.hsts_seconds),
    )


def listen(settings: Settings) -> socket.socket:
    """A bound socket. Raises SystemExit if the address cannot be used."""
    return uvicorn.Config("", host=settings.host, port=settings.port, log_config=None).bind_socket()


class FrontEnd(uvicorn.Server):
    """A uvicorn that sends heartbeats, answers every open connection before it ends, and exits without an error on a
    stop signal. It serves an app of `create_app`."""

    def __init__(self, app: FastAPI, beat: Callable[[], None] | None = None) -> None:
        settings: Settings = app.state.settings
        self._parts = server_parts(app, settings)
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=partial(HttpProtocol, parts=self._parts),  # type: ignore[arg-type]
                ws="none",
                log_level=settings.log_level,
                log_config=None,
                access_log=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies,
                server_header=False,
                timeout_graceful_shutdown=int(settings.drain_seconds) or 1,
            )
        )
        self._beat = beat
        self._parts.check.entering = self._parts.turns.__len__
        self._accepted = _ACCEPTED if settings.workers == 1 else 1

    async def on_tick(self, counter: int) -> bool:
        if self._beat is not None:
            self._beat()
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])  # the acceptor takes the place of uvicorn's servers
        for listener in sockets or ():
            listener.listen(_BACKLOG)
        connections = Connections(self.server_state, self._parts.limits)
        self._acceptor = Acceptor(sockets or (), self._create_protocol, connections, most=self._accepted)
        self._watch = asyncio.create_task(connections.watch())

    def _create_protocol(self) -> asyncio.Protocol:
        create: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return create(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Requests that have come are answered; then their connections close. Connections in the backlog are accepted
        first, since closing the socket resets them; those without a request get a moment, since uvicorn closes them."""
        self.server_state.default_headers.append((b"connection", b"close"))
        sockets = sockets or []
        for listener in sockets:
            listener.listen(0)  # the backlog takes no further connection
        await _until(lambda: not select.select(sockets, [], [], 0)[0])
        self._acceptor.close()
        for listener in sockets:
            listener.close()
        await _until(lambda: not self._acceptor.is_opening)
        # A protocol of uvicorn has no cycle before its first request.
        await _until(lambda: all(getattr(connection, "cycle", True) for connection in self.server_state.connections))
        await super().shutdown()
        self._watch.cancel()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:  # uvicorn raises the signal once more when it is done
                signal.signal(number, lambda number, frame: setattr(self, "should_exit", True))
        super().run(sockets)


async def _until(holds: Callable[[], bool]) -> None:
    """Poll a condition between turns of the event loop, for a moment at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_MOMENT):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
