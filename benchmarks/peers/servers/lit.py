"""LitServe: dynamic batching in inference workers, behind its own HTTP server.

Tried: a wait of 2 and 5 ms; one HTTP process (`api1`) and two (`api2`); the queue over ZeroMQ (`fast`). Kept: 2 ms, one
HTTP process, the default queue; two were as fast, the other queue was slower.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import litserve
from fastapi import Body

from benchmarks.peers.config import config, read_command_line
from benchmarks.peers.model import Answer, load

_WAIT = 2.0


class _Peer(litserve.LitAPI):
    """What texts and images have in common."""

    def setup(self, device: str) -> None:
        """In each inference worker."""
        settings = config()
        self._model = load(settings.job, settings.folder)

    def predict(self, batch: Sequence[str | bytes]) -> list[Answer]:
        return self._model.predict(batch)

    def encode_response(self, output: Answer) -> Answer:
        return output


class _Texts(_Peer):
    """JSON with one text."""

    def decode_request(self, request: dict[str, Any]) -> str:
        return str(request["inputs"])


class _Images(_Peer):
    """The bytes of an image file."""

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> bytes:
        return request


def main() -> None:
    read_command_line()
    settings = config(wait=_WAIT, variant="api1")
    api = (_Images if settings.takes_images else _Texts)(
        max_batch_size=settings.batch, batch_timeout=settings.wait / 1000
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        devices=1,
        workers_per_device=settings.workers,
        timeout=60,
        fast_queue="fast" in settings.variant,
    )
    server.run(
        host="127.0.0.1",
        port=settings.port,
        num_api_servers=2 if "api2" in settings.variant else 1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
