"""Beam search by the engine's own code, for measuring what it serves."""

from collections.abc import Iterator, Sequence

import torch

from app.engine.protocol import Emit, Emitted, Pixels, Tokens
from app.engine.runner import Item, Portion, Runner
from training.loop import chunks
from training.recipe import Shipped


def searched(
    shipped: Shipped, sources: Sequence[Tokens | Pixels], emit: Emit, *, batch: int = 25
) -> Iterator[list[int]]:
    """Token ids of the best hypothesis for each source, in their order, `batch` sources at a time."""
    runner = Runner(torch.device("cpu"), slots=batch * emit.beams, precision="float32")
    runner.add(shipped.manifest, shipped.network)
    key = shipped.manifest.key
    for part in chunks(sources, batch):
        items = [Item((b"", place), source, emit) for place, source in enumerate(part)]
        runner.consume(
            key, [Portion(item, 0, len(item.source.ids) if isinstance(item.source, Tokens) else 1) for item in items]
        )
        found: dict[int, list[int]] = {}
        while runner.models[key].slots.count:
            for (_, number), event in runner.emit(key, 6):
                assert isinstance(event, Emitted)
                found[number] = event.hypotheses[0].tokens
        yield from (found[place] for place in range(len(part)))
