"""Runs networks: `consume` for new requests, one unit of `emit` for running ones. Knows no queue and no socket."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from app.engine.decoding import greedy
from app.engine.messages import FinishReason, Pixels, RequestKey, Tokens
from app.engine.slots import Row, Slots
from app.errors import EngineFailed
from app.models.networks import Classifier, EncoderDecoder, build_network
from app.store.manifest import Decoding, Manifest
from app.store.model_store import Version
from app.store.weights import load_weights

IMAGE_COST = 512  # cell steps that the scheduler counts an image as


@dataclass(frozen=True, slots=True)
class Item:
    """A request as the runner sees it."""

    key: RequestKey
    source: Tokens | Pixels
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Label:
    """Answer of a classifier: a probability for each label."""

    key: RequestKey
    scores: list[float]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Answer of an encoder-decoder: tokens without the end, log-probabilities with it."""

    key: RequestKey
    tokens: list[int]
    log_probs: list[float]
    finish_reason: FinishReason


@dataclass(slots=True)
class Counters:
    """What was run, in cell steps: `useful` were asked for, `padded` are those and the padding around them."""

    units: int = 0
    consumed: int = 0
    consume_useful: int = 0
    consume_padded: int = 0
    emit_steps: int = 0
    emit_rows: int = 0


@dataclass(slots=True)
class LoadedModel:
    """A network ready to run, with its slots if it emits."""

    manifest: Manifest
    network: Classifier | EncoderDecoder
    slots: Slots
    suppressed: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def decoding(self) -> Decoding:
        assert self.manifest.decoding is not None
        return self.manifest.decoding


class Runner:
    """All models of one engine on one device."""

    def __init__(self, device: torch.device, *, slots: int) -> None:
        self.device = device
        self._slots = slots
        self.models: dict[str, LoadedModel] = {}
        self.counters = Counters()

    def load(self, version: Version) -> None:
        """Build, fill and warm a version. Raises StoreError when it does not fit together."""
        manifest = version.manifest
        image = manifest.image
        mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
        network = build_network(manifest.architecture, mean=mean, std=std)
        load_weights(network, version)
        network.eval().requires_grad_(False).to(self.device)
        if image is not None:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model = LoadedModel(manifest, network, Slots(self._slots, self.device))
        if isinstance(network, EncoderDecoder):
            model.suppressed = torch.zeros(network.config.decoder.vocabulary_size, device=self.device)
            model.suppressed[list(model.decoding.suppress)] = float("-inf")
        self.models[manifest.key] = model
        self._warm(model)

    def _warm(self, model: LoadedModel) -> None:
        """Run a small batch through everything once: kernels and memory are ready before the first request."""
        source: Tokens | Pixels = Tokens([0] * 8)
        if model.manifest.image:
            size = model.manifest.image.size
            source = Pixels(size, bytes(3 * size * size))
        key = model.manifest.key
        self.consume(key, [Item((b"", index), source, 2) for index in range(min(2, self._slots))])
        if isinstance(model.network, EncoderDecoder):
            while model.slots.rows:
                self.emit(key, unit=2)
        self.counters = Counters()

    @torch.inference_mode()
    def consume(self, key: str, items: Sequence[Item]) -> list[Label]:
        """Run the sources of new requests: labels at once, or rows that `emit` goes on with."""
        model = self.models[key]
        source, lengths = self._batch(items)
        self.counters.consumed += len(items)
        if isinstance(model.network, Classifier):
            scores = model.network(source, lengths).float().softmax(1).tolist()
            return [Label(item.key, row) for item, row in zip(items, scores, strict=True)]
        state = model.network.consume(source, lengths)
        memory_length = state["memory"].shape[1] if "memory" in state else 0
        rows = [
            Row(
                item.key,
                item.max_tokens,
                min(memory_length, len(item.source.ids)) if isinstance(item.source, Tokens) else memory_length,
            )
            for item in items
        ]
        model.slots.admit(rows, state, model.decoding.bos)
        return []

    def _batch(self, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        """Sources of one kind as a padded tensor, and their lengths."""
        pixels = [item.source for item in items if isinstance(item.source, Pixels)]
        if pixels:
            size = pixels[0].size
            content = torch.frombuffer(bytearray(b"".join(image.data for image in pixels)), dtype=torch.uint8)
            self.counters.consume_useful += IMAGE_COST * len(items)
            self.counters.consume_padded += IMAGE_COST * len(items)
            source = content.view(len(items), size, size, 3).to(self.device)
            return source, torch.ones(len(items), dtype=torch.long, device=self.device)
        ids = [item.source.ids for item in items if isinstance(item.source, Tokens)]
        lengths = [len(row) for row in ids]
        longest = max(lengths)
        self.counters.consume_useful += sum(lengths)
        self.counters.consume_padded += longest * len(items)
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=self.device)
        return padded, torch.tensor(lengths, device=self.device)

    @torch.inference_mode()
    def emit(self, key: str, unit: int) -> list[Sentence]:
        """Up to `unit` steps of all running rows of a model. A row that ends frees its slot before the next step."""
        model = self.models[key]
        network, slots = model.network, model.slots
        assert isinstance(network, EncoderDecoder)
        ended: list[Sentence] = []
        for _ in range(unit):
            if not slots.rows:
                break
            tokens, state = slots.running()
            logits, state, _ = network.step(tokens, state)
            tokens, log_probs = greedy(logits, model.suppressed)
            slots.advance(tokens, state)
            self.counters.emit_steps += 1
            self.counters.emit_rows += len(slots.rows)
            ended += self._finish(model, tokens.tolist(), log_probs.tolist())
        self.counters.units += 1
        return ended

    def _finish(self, model: LoadedModel, tokens: list[int], log_probs: list[float]) -> list[Sentence]:
        """Note a step's tokens; release and return the rows that it ended."""
        ended = []
        for index in reversed(range(len(tokens))):
            row = model.slots.rows[index]
            row.log_probs.append(log_probs[index])
            stop = tokens[index] == model.decoding.eos
            if not stop:
                row.tokens.append(tokens[index])
            if stop or len(row.tokens) == row.max_tokens:
                model.slots.release(index)
                ended.append(Sentence(row.key, row.tokens, row.log_probs, "stop" if stop else "length"))
        return ended

    @torch.inference_mode()
    def release(self, key: str, request: RequestKey) -> None:
        """Free the row of a request that nobody waits for any more."""
        self.models[key].slots.release_key(request)

    @torch.inference_mode()
    def release_all(self, key: str) -> list[RequestKey]:
        """Free every row of a model; the requests that had them."""
        slots = self.models[key].slots
        return [slots.release(len(slots.rows) - 1).key for _ in range(len(slots.rows))]

    def check(self, key: str, source: Tokens | Pixels) -> int:
        """The cost of a source in cell steps. Raises EngineFailed when the model cannot take it."""
        model = self.models.get(key)
        if model is None:
            raise EngineFailed(f"model {key} is not loaded in the engine")
        if isinstance(source, Pixels):
            image = model.manifest.image
            if image is None or source.size != image.size or len(source.data) != 3 * source.size**2:
                raise EngineFailed(f"model {key} does not take this image")
            return IMAGE_COST
        encoder = model.network.config.encoder
        if (
            encoder.kind != "text"
            or not source.ids
            or not 0 <= min(source.ids) <= max(source.ids) < encoder.vocabulary_size
        ):
            raise EngineFailed(f"model {key} does not take these tokens")
        return len(source.ids)
