"""Front ends as several worker processes that share the engines, one socket and its port.

Run as `python -m app.workers CONFIG PIPE RESTARTS` this is a worker, started by `run_workers`.
"""

import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.log_output import LOG_OUTPUT
from app.logs import set_up_logging
from app.main import create_app
from app.metrics import Metrics, SharedFiles
from app.server.front_end import STOP_SIGNALS, FrontEnd
from app.settings import SECRETS, Settings
from app.supervisor import Program, SupervisedProcess, heartbeat_into, spawn, stop_all, wait_for_parent_end

_STOP_MARGIN = 5.0  # seconds for a worker to end after it drained
_START_SECONDS = 120.0  # limit for the first heartbeat of a worker, which loads tokenizers only
_METRICS = "metrics"  # folder of the workers' counters, in the service folder


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` are their values without secrets, which are in the environment: every user of the machine can read a
    command line. `service_folder` holds the desired state, `listener` the descriptor of the inherited socket. Worker
    0 logs for all and watches the store."""

    settings: dict[str, str | bool | int | float]
    engines: list[str]
    service_folder: str
    listener: int
    index: int


class _WorkerProgram(Program):
    def request_stop(self) -> None:
        """It drains after SIGTERM."""
        self.terminate()


class Worker(SupervisedProcess):
    """A front end in its own process."""

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
            spawn(
                [sys.executable, "-P", "-m", "app.workers", msgspec.json.encode(config).decode()],
                environment=settings.secrets(),
                descriptors=(listener.fileno(),),
                kind=_WorkerProgram,
            ),
            heartbeat_seconds=settings.heartbeat_seconds,
            start_seconds=max(_START_SECONDS, settings.heartbeat_seconds),
        )


def run_workers(settings: Settings, engines: Sequence[str], service_folder: Path, listener: socket.socket) -> None:
    """Keep `settings.workers` workers running until SIGTERM or SIGINT, then drain them all."""
    stopped, stop = os.pipe()
    os.set_blocking(stop, False)
    signal.set_wakeup_fd(stop)  # a handler would miss a signal just before `os.read` waits
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: None)
    (service_folder / _METRICS).mkdir()
    workers = [Worker(settings, engines, service_folder, listener, index=index) for index in range(settings.workers)]
    os.read(stopped, 1)
    listener.close()  # or the backlog takes connections that no worker accepts
    stop_all(workers, seconds=settings.drain_seconds + _STOP_MARGIN)


def main() -> None:
    """A worker process."""
    gc.disable()  # as in `app.cli.serve`
    config = msgspec.json.decode(sys.argv[1], type=WorkerConfig)
    settings = Settings.model_validate(config.settings)
    set_up_logging(settings.log_level, settings.log_format)
    service_folder = Path(config.service_folder)
    metrics = Metrics(SharedFiles(service_folder / _METRICS, config.index))
    app = create_app(
        settings, engines=config.engines, service_folder=service_folder, is_first=config.index == 0, metrics=metrics
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = FrontEnd(app, heartbeat_into(int(sys.argv[2])))
    server.run([socket.socket(fileno=config.listener)])


def _end_with_parent() -> None:
    """When the parent is gone, so are the engines: there is nothing to drain."""
    wait_for_parent_end()
    logging.getLogger("unroll.workers").error("the parent process of this worker is gone; the worker exits")
    LOG_OUTPUT.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
