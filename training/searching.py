"""Decoding by the engine's own code, to measure what a model answers in service."""

from collections.abc import Iterator, Sequence

import torch

from app.engine.cost import cost_of
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.models import Models
from app.engine.protocol import Decode, Decoded, Hypothesis, Pixels, Tokens
from app.engine.request import Request, whole
from training.loop import chunks
from training.recipe import Shipped


def hypotheses(
    shipped: Shipped, sources: Sequence[Tokens | Pixels], answer: Decode, *, batch: int = 25
) -> Iterator[Hypothesis]:
    """The best hypothesis for each source, in their order, `batch` sources at a time."""
    models = Models(torch.device("cpu"), slots=batch * answer.beams, precision=shipped.precision)
    models.load(shipped.version)
    model = models[shipped.manifest.key]
    for part in chunks(sources, batch):
        requests = [
            Request((b"", place), model.key, source, answer, cost_of(source, answer))
            for place, source in enumerate(part)
        ]
        encode(model, [whole(request) for request in requests])
        found: dict[int, Hypothesis] = {}
        while model.rows:
            for request, event in decode(model, 6):
                assert isinstance(event, Decoded)
                found[request.key[1]] = event.hypotheses[0]
        yield from (found[place] for place in range(len(part)))
