"""Mosec: dynamic batching in front of worker processes, its HTTP in Rust.

Tried: a wait of 1, 2 and 5 ms. Kept: 1 ms, a little faster with 8 and 16 clients; with 64 the trials do not tell them
apart.
"""

import sys
from collections.abc import Sequence
from typing import Any

from mosec import Server, Worker

from benchmarks.peers.config import config, read_command_line
from benchmarks.peers.model import Answer, load

_WAIT = 1.0


class _Peer(Worker):
    """The whole way of a batch: from bodies to answers."""

    def __init__(self) -> None:
        super().__init__()
        self._settings = config()
        self._model = load(self._settings.job, self._settings.folder)

    def deserialize(self, data: bytes) -> Any:
        return data if self._settings.takes_images else super().deserialize(data)["inputs"]

    def forward(self, data: Sequence[str | bytes]) -> list[Answer]:
        return self._model.predict(data)


def main() -> None:
    read_command_line()
    settings = config(wait=_WAIT)
    options = {"address": "127.0.0.1", "port": settings.port, "timeout": 60_000, "log-level": "warning"}
    sys.argv[1:] = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    server = Server()
    server.append_worker(
        _Peer, num=settings.workers, max_batch_size=settings.batch, max_wait_time=int(settings.wait), timeout=60
    )
    server.run()


if __name__ == "__main__":
    main()
