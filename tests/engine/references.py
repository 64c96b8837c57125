"""Answers one request at a time, by the plainest code: what the engine's batches are compared with."""

from pathlib import Path

import torch

from app.engine.messages import Pixels, Tokens
from app.models.networks import Classifier, EncoderDecoder
from app.store.model_store import open_version
from training.recipe import Shipped, load_shipped


def open_shipped(store: Path, key: str) -> Shipped:
    return load_shipped(open_version(store / key))


@torch.inference_mode()
def label_alone(shipped: Shipped, source: Tokens) -> list[float]:
    assert isinstance(shipped.network, Classifier)
    logits = shipped.network(torch.tensor([source.ids]), torch.tensor([len(source.ids)]))
    scores: list[float] = logits[0].softmax(0).tolist()
    return scores


@torch.inference_mode()
def sentence_alone(shipped: Shipped, source: Tokens | Pixels, max_tokens: int) -> tuple[list[int], str]:
    """Token ids and finish reason."""
    network, decoding = shipped.network, shipped.manifest.decoding
    assert isinstance(network, EncoderDecoder)
    assert decoding is not None
    if isinstance(source, Pixels):
        image = torch.frombuffer(bytearray(source.data), dtype=torch.uint8).view(1, source.size, source.size, 3)
        state = network.consume(image, torch.tensor([1]))
    else:
        state = network.consume(torch.tensor([source.ids]), torch.tensor([len(source.ids)]))
    token = decoding.bos
    tokens: list[int] = []
    while len(tokens) < max_tokens:
        logits, state, _ = network.step(torch.tensor([token]), state)
        for suppressed in decoding.suppress:
            logits[0, suppressed] = float("-inf")
        token = int(logits[0].argmax())
        if token == decoding.eos:
            return tokens, "stop"
        tokens.append(token)
    return tokens, "length"
