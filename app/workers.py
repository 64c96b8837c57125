"""Front ends: uvicorn in this process, or several worker processes that share the engines, one socket and its port.

Run as `python -m app.workers CONFIG PIPE RESTARTS` this is a worker, started by `FrontEnds`.
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

from app.engine.process import stop_all
from app.logs import set_up_logging
from app.main import create_app
from app.metrics import Metrics, SharedFiles
from app.settings import SECRETS, Settings
from app.supervisor import Child, await_parent, beat_into

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STOP_MARGIN = 5.0  # seconds that a worker has to end beyond those to drain
_METRICS = "metrics"  # in the board's folder, what the workers count
_LAST_MOMENT = 0.5  # seconds in which who has just connected may ask, when the service ends
_ACCEPTED = 16  # connections that one turn of the event loop accepts
_KEEP_ALIVE_SECONDS = 75  # longer than the 60 s of common load balancers, so that they close idle connections first


def web_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """uvicorn as this service uses it."""
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
    """A uvicorn that beats, answers everybody who has reached it before it ends, and for which the signal that stopped
    it is no error."""

    def __init__(self, config: uvicorn.Config, beat: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._beat = beat

    async def on_tick(self, counter: int) -> bool:
        if self._beat is not None:
            self._beat()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever is connected by now is answered, and told that it was the last time. The system connects clients
        before anybody accepts them, and resets those when the socket is closed; uvicorn closes who has not asked."""
        self.server_state.default_headers.append((b"connection", b"close"))
        sockets = sockets or []
        for listener in sockets:
            listener.listen(0)  # nobody else joins the queue
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
    """Let the event loop turn until something holds that nobody tells of, for a moment at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_MOMENT):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


def eager(listener: socket.socket) -> list[socket.socket]:
    """The listener many times over, for a front end that has it for itself.

    uvloop accepts one connection from each socket in a turn, and under load a turn is long: new connections would wait
    for seconds. Several workers each take one, or the first to wake would take all.
    """
    return [listener, *(listener.dup() for _ in range(_ACCEPTED - 1))]


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` are their values, but for those that are secret: a command line can be read by everybody on the
    machine, the environment cannot. `board` is the folder of the `Board`, `listener` the number of the inherited
    socket. Worker 0 speaks for all in the log, and watches the store."""

    settings: dict[str, str | bool | int | float]
    engines: list[str]
    board: str
    listener: int
    index: int


class Worker(Child):
    """A front end in a process of its own; it drains after SIGTERM."""

    def __init__(
        self, settings: Settings, engines: Sequence[str], board: Path, listener: socket.socket, *, index: int
    ) -> None:
        config = WorkerConfig(
            settings=json.loads(settings.model_dump_json(exclude=set(SECRETS), exclude_none=True)),
            engines=list(engines),
            board=str(board),
            listener=listener.fileno(),
            index=index,
        )
        super().__init__(
            f"worker {index}",
            [sys.executable, "-m", "app.workers", msgspec.json.encode(config).decode()],
            environment=settings.secrets(),
            descriptors=(listener.fileno(),),
            silence=settings.heartbeat_seconds,
        )

    def ask_to_end(self) -> None:
        self._running.process.terminate()


def run_workers(settings: Settings, engines: Sequence[str], board: Path, listener: socket.socket) -> None:
    """Keep `settings.workers` workers running until SIGTERM or SIGINT, then drain them all."""
    stopped, stop = os.pipe()
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda number, frame: os.write(stop, b"."))
    (board / _METRICS).mkdir()
    workers = [Worker(settings, engines, board, listener, index=index) for index in range(settings.workers)]
    os.read(stopped, 1)
    listener.close()  # or new connections would wait for nobody
    stop_all(workers, seconds=settings.drain_seconds + _STOP_MARGIN)


def main() -> None:
    """A worker process."""
    config = msgspec.json.decode(sys.argv[1], type=WorkerConfig)
    settings = Settings.model_validate(config.settings)
    set_up_logging(settings.log_level, settings.log_format)
    board = Path(config.board)
    metrics = Metrics(SharedFiles(board / _METRICS, config.index))
    app = create_app(settings, engines=config.engines, board=board, is_first=config.index == 0, metrics=metrics)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = FrontEnd(web_config(app, settings), beat_into(int(sys.argv[2])))
    server.run([socket.socket(fileno=config.listener)])


def _end_with_parent() -> None:
    """Without their parent, engines are gone, too: there is nothing to drain."""
    await_parent()
    logging.getLogger("unroll.workers").error("the process that started this worker is gone")
    os._exit(1)


if __name__ == "__main__":
    main()
