"""The BentoML services that `benchmarks.peers.servers.bento` starts."""

from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.peers.config import config
from benchmarks.peers.model import Answer, load

_settings = config(wait=60_000)


@bentoml.service(workers=_settings.workers, traffic={"timeout": 60})
class Texts:
    """JSON with a list of one text: BentoML batches APIs that take lists."""

    def __init__(self) -> None:
        self._model = load(_settings.job, _settings.folder)

    @bentoml.api(batchable=True, max_batch_size=_settings.batch, max_latency_ms=int(_settings.wait))
    def predict(self, inputs: list[str]) -> list[Answer]:
        return self._model.predict(inputs)


@bentoml.service(workers=_settings.workers, traffic={"timeout": 60})
class Images:
    """A form with one image file."""

    def __init__(self) -> None:
        self._model = load(_settings.job, _settings.folder)

    @bentoml.api(batchable=True, max_batch_size=_settings.batch, max_latency_ms=int(_settings.wait))
    def predict(self, images: list[Annotated[Path, ContentType("image/jpeg")]]) -> list[Answer]:
        return self._model.predict([image.read_bytes() for image in images])
