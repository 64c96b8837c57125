"""Front ends: uvicorn in this process, or several worker processes that share the engines, one socket and its port.

Run as `python -m app.workers CONFIG PIPE RESTARTS` this is a worker, started by `run_workers`.
"""

import asyncio
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import uvicorn
from fastapi import FastAPI

from app.logs import set_up_logging
from app.main import create_app
from app.metrics import Metrics, SharedFiles
from app.settings import SECRETS, Settings
from app.supervisor import SupervisedProcess, heartbeat_into, stop_all, wait_for_parent_end

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STOP_MARGIN = 5.0  # seconds for a worker to end after it drained
_METRICS = "metrics"  # folder of the workers' counters, in the service folder
_LAST_MOMENT = 0.5  # seconds in which a new connection may still send a request when the service ends
_ACCEPTED = 16  # connections that one turn of the event loop accepts
_KEEP_ALIVE_SECONDS = 75  # longer than the 60 s of common load balancers: they must close idle connections first


def web_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """The configuration of uvicorn."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        backlog=4096,
        log_level=settings.log_level,
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_seconds) or 1,
    )


class FrontEnd(uvicorn.Server):
    """A uvicorn that sends heartbeats, answers every open connection before it ends, and exits without an error on a
    stop signal."""

    def __init__(self, config: uvicorn.Config, beat: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._beat = beat

    async def on_tick(self, counter: int) -> bool:
        if self._beat is not None:
            self._beat()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Open connections get one last response, with `Connection: close`. Connections in the backlog are accepted
        first, since closing the socket resets them; idle ones get a moment, since uvicorn closes them."""
        self.server_state.default_headers.append((b"connection", b"close"))
        sockets = sockets or []
        for listener in sockets:
            listener.listen(0)  # the backlog takes no further connection
        await _until(lambda: not select.select(sockets, [], [], 0)[0])
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        # A protocol of uvicorn has no cycle before its first request.
        await _until(lambda: all(getattr(connection, "cycle", True) for connection in self.server_state.connections))
        await super().shutdown()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        for number in _STOP_SIGNALS:  # uvicorn raises the signal once more when it is done
            signal.signal(number, lambda number, frame: setattr(self, "should_exit", True))
        super().run(sockets)


async def _until(holds: Callable[[], bool]) -> None:
    """Poll a condition between turns of the event loop, for a moment at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_MOMENT):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


def eager(listener: socket.socket) -> list[socket.socket]:
    """Duplicates of the listener, for a front end without other workers.

    uvloop accepts one connection per socket and turn. Under load a turn is long, and new connections would wait for
    seconds. Several workers use one socket each, or the first to wake would take all connections.
    """
    return [listener, *(listener.dup() for _ in range(_ACCEPTED - 1))]


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` are their values without secrets, which are in the environment: every user of the machine can read a
    command line. `service_folder` holds the desired state, `listener` the descriptor of the inherited socket. Worker
    0 logs for all and watches the store."""

    settings: dict[str, str | bool | int | float]
    engines: list[str]
    service_folder: str
    listener: int
    index: int


class Worker(SupervisedProcess):
    """A front end in its own process. It drains after SIGTERM."""

    def __init__(
        self, settings: Settings, engines: Sequence[str], service_folder: Path, listener: socket.socket, *, index: int
    ) -> None:
        config = WorkerConfig(
            settings=json.loads(settings.model_dump_json(exclude=set(SECRETS), exclude_none=True)),
            engines=list(engines),
            service_folder=str(service_folder),
            listener=listener.fileno(),
            index=index,
        )
        super().__init__(
            f"worker {index}",
            [sys.executable, "-m", "app.workers", msgspec.json.encode(config).decode()],
            environment=settings.secrets(),
            descriptors=(listener.fileno(),),
            heartbeat_seconds=settings.heartbeat_seconds,
        )

    def request_stop(self) -> None:
        self._current.process.terminate()


def run_workers(settings: Settings, engines: Sequence[str], service_folder: Path, listener: socket.socket) -> None:
    """Keep `settings.workers` workers running until SIGTERM or SIGINT, then drain them all."""
    stopped, stop = os.pipe()
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda number, frame: os.write(stop, b"."))
    (service_folder / _METRICS).mkdir()
    workers = [Worker(settings, engines, service_folder, listener, index=index) for index in range(settings.workers)]
    os.read(stopped, 1)
    listener.close()  # or the backlog takes connections that no worker accepts
    stop_all(workers, seconds=settings.drain_seconds + _STOP_MARGIN)


def main() -> None:
    """A worker process."""
    config = msgspec.json.decode(sys.argv[1], type=WorkerConfig)
    settings = Settings.model_validate(config.settings)
    set_up_logging(settings.log_level, settings.log_format)
    service_folder = Path(config.service_folder)
    metrics = Metrics(SharedFiles(service_folder / _METRICS, config.index))
    app = create_app(
        settings, engines=config.engines, service_folder=service_folder, is_first=config.index == 0, metrics=metrics
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = FrontEnd(web_config(app, settings), heartbeat_into(int(sys.argv[2])))
    server.run([socket.socket(fileno=config.listener)])


def _end_with_parent() -> None:
    """When the parent is gone, so are the engines: there is nothing to drain."""
    wait_for_parent_end()
    logging.getLogger("unroll.workers").error("the parent process of this worker is gone; the worker exits")
    os._exit(1)


if __name__ == "__main__":
    main()
