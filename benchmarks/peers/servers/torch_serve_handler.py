"""The handler in the model archive that `benchmarks.peers.servers.torch_serve` makes."""

from typing import Any

from benchmarks.peers.config import config
from benchmarks.peers.model import Answer, load


class Peer:
    """What TorchServe calls in each of its workers."""

    def initialize(self, context: Any) -> None:
        self._settings = config()
        self._model = load(self._settings.job, self._settings.folder)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[Answer]:
        """Bodies of a batch, JSON already read, to answers."""
        if self._settings.takes_images:
            return self._model.predict([bytes(row["body"]) for row in data])
        return self._model.predict([row["body"]["inputs"] for row in data])
