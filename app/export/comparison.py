"""The written model file beside the network: both answer the same random source."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.export.masks import left_out, without
from app.export.onnx.network import run_onnx
from app.export.pytorch import MODEL
from app.models.forecaster import Forecaster as ForecasterNetwork
from app.models.networks import EncoderDecoder as EncoderDecoderNetwork
from app.models.networks import Network
from app.models.window_language_model import WindowLanguageModel as WindowNetwork
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.recurrence import CELLS
from app.store.series_input import Feature
from app.store.tagger import Tagger

_STEPS = 7  # of a source of any length
_DECODED = 4


def loaded(folder: Path) -> nn.Module:
    """The network of the written file."""
    spec = importlib.util.spec_from_file_location("unroll_exported", folder / MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: nn.Module = module.load()
    return network


def source_of(manifest: Manifest, *, steps: int | None = None, seed: int = 0) -> Tensor:
    """A random source (1, steps) of ids, or (1, steps, features) of scaled numbers."""
    architecture, generator = manifest.architecture, torch.Generator().manual_seed(seed)
    encoder = architecture.encoder
    if isinstance(encoder, SeriesEncoder):
        steps = (manifest.series.window if manifest.series else None) or steps or max(_STEPS, architecture.least_steps)
        return torch.randn(1, steps, encoder.features, generator=generator)
    length = manifest.tokenizer.length if manifest.tokenizer else None
    steps = (length.to if length else None) or steps or max(_STEPS, architecture.least_steps)
    ids = torch.randint(manifest.source_vocabulary, (1, steps), generator=generator)
    mask_id = left_out(architecture)
    if mask_id is not None:  # one id is not masked, and one is
        ids[0, 0], ids[0, -1] = (mask_id + 1) % manifest.source_vocabulary, mask_id
    return ids


def example_of(manifest: Manifest) -> str:
    """The arguments of a model file: the ids of a source, or the rows of a series in their own units."""
    rows: list[Any] = source_of(manifest)[0].tolist()
    if manifest.series is None:
        return " ".join(map(str, rows))
    scales = [feature.affine for feature in manifest.series.features]
    in_units = ([number * scale + shift for number, (shift, scale) in zip(row, scales, strict=True)] for row in rows)
    return " ".join(",".join(f"{number:.4g}" for number in row) for row in in_units)


@torch.no_grad()
def difference(manifest: Manifest, network: Network, model: nn.Module) -> float:
    """The largest difference between their answers (logits, or scaled numbers)."""
    pairs = answers_of(manifest, network, model, source_of(manifest))
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs)


def answers_of(manifest: Manifest, network: Network, model: Any, source: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of an answer of the network and of the model."""
    lengths = torch.tensor([source.shape[1]])
    match network:
        case ForecasterNetwork():
            config = network.config
            last = last_row(manifest, config, source)
            if config.is_stepwise:
                count = max(config.horizon, _DECODED)
                return [(network(source, lengths, last, count), model(source, count))]
            return [(network(source, lengths), model(source))]
        case EncoderDecoderNetwork() if isinstance(manifest.architecture, LanguageModel):
            logits = network.decoder.unroll(source, network.decoder.start_at_zero(source))
            return [(logits, model(source)[0])]
        case EncoderDecoderNetwork():
            return _decoded(network, model, source, lengths)
        case WindowNetwork():
            return [(network(source, lengths), model(source))]
        case _:
            return [(network(source, lengths), model(without(source, left_out(manifest.architecture))))]


def last_row(manifest: Manifest, config: Forecaster, source: Tensor) -> Tensor | None:
    """The targets of the last row of a source, which a decoder reads first."""
    if config.decoder is None or not config.is_fed or config.decoder.first_input == "zeros":
        return None
    series = manifest.series
    assert series is not None  # see `Manifest`
    return source[:, -1, [series.features.index(target) for target in series.targets]]


def _decoded(
    network: EncoderDecoderNetwork, model: Any, source: Tensor, lengths: Tensor
) -> list[tuple[Tensor, Tensor]]:
    state = network.encode(source, lengths)
    memory, last, theirs = model.encode(source)
    fed = torch.zeros(1, network.decoder.feeds) if network.decoder.feeds is not None else None
    pairs = []
    for token in range(_DECODED):
        tokens = torch.tensor([token])
        logits, state, _ = network.step(tokens, state)
        if fed is None:
            answer, theirs = model.step(tokens, memory, last, theirs)
        else:
            answer, fed, theirs = model.step(tokens, memory, last, theirs, fed)
        pairs.append((logits, answer))
    return pairs


@torch.no_grad()
def onnx_difference(manifest: Manifest, network: Network, folder: Path) -> float | None:
    """The same for the written graph; None without onnxruntime."""
    source, architecture = source_of(manifest), manifest.architecture
    inputs = {"ids": without(source, left_out(architecture))}
    if manifest.series is not None:
        inputs = {"rows": _unscaled(source, manifest.series.features)}
    if isinstance(architecture, LanguageModel):
        made = architecture.recurrence
        zeros = torch.zeros(made.layers, 1, made.hidden_size)
        inputs |= {"hidden": zeros} | ({"cell": zeros} if CELLS[made.cell].has_cell else {})
    outputs = run_onnx(folder, inputs)
    if outputs is None:
        return None
    ((ours, _),) = answers_of(manifest, network, _Nothing(), source)
    match architecture:
        case Classifier():
            ours = ours.softmax(-1) if architecture.outputs == "softmax" else ours.sigmoid()
        case Tagger():
            ours = ours.softmax(-1)
        case Forecaster():
            assert manifest.series is not None
            ours = _unscaled(ours, manifest.series.targets)
        case _:
            pass
    return float((ours - outputs[0]).abs().max())


def _unscaled(rows: Tensor, features: tuple[Feature, ...]) -> Tensor:
    """Scaled rows in their own units."""
    pairs = torch.tensor([feature.affine for feature in features], dtype=torch.float64)
    rows = rows.double() * pairs[:, 1] + pairs[:, 0]
    is_log = torch.tensor([feature.log1p for feature in features])
    return torch.where(is_log, rows.expm1(), rows).float()


class _Nothing:
    """In place of the model of `answers_of`, where the network alone is asked."""

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return arguments
