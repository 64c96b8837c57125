"""References for networks over numbers and frames: one unpadded row at a time, from formulas or through torch.nn."""

import itertools
import math
from typing import cast

import torch
from torch import Tensor

from app.store.block import Block
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster
from app.store.layer import Layer
from app.store.recurrence import Recurrence
from tests.models.references import torch_module

Weights = dict[str, Tensor]


def under(prefix: str, weights: Weights) -> Weights:
    """The weights below a prefix."""
    return {name.removeprefix(prefix): values for name, values in weights.items() if name.startswith(prefix)}


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    """Batch statistics and scales that are not those of a fresh network, so that each has an effect."""
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith("running_mean") or (values.dim() == 1 and name.endswith("bias")):
                values.normal_(std=0.5)
            elif name.endswith("running_var") or (values.dim() == 1 and name.endswith("weight")):
                values.uniform_(0.5, 1.5)
    return network.eval()


def steps_of(block: Block, before: int) -> int:
    """Steps that a block makes of `before` steps."""
    strided = math.ceil(before / block.stride)
    return strided if block.pool is None else math.ceil(strided / 2)


def convolve(rows: Tensor, weight: Tensor, bias: Tensor | None, *, left: int, stride: int = 1) -> Tensor:
    """rows (steps, inputs), weight (outputs, inputs, kernel): each output step is a sum over the kernel; rows before
    the first and after the last are 0."""
    outputs = []
    for step in range(0, len(rows), stride):
        total = torch.zeros(len(weight)) if bias is None else bias
        for place in range(weight.shape[2]):
            if 0 <= (read := step + place - left) < len(rows):
                total = total + weight[:, :, place] @ rows[read]
        outputs.append(total)
    return torch.stack(outputs)


def normalise(rows: Tensor, weights: Weights, name: str) -> Tensor:
    """Batch normalisation with running statistics (Ioffe and Szegedy 2015, algorithm 2)."""
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (rows - mean) / torch.sqrt(variance + 1e-5) * scale + shift


def block(config: Block, weights: Weights, rows: Tensor) -> Tensor:
    """rows (steps, inputs) through one block: (fewer steps, width)."""
    before, count = rows, len(config.kernels)
    for number, kernel in enumerate(config.kernels, 1):
        rows = convolve(
            rows,
            weights[f"conv{number}.weight"],
            weights.get(f"conv{number}.bias"),
            left=kernel - 1 if config.padding == "causal" else (kernel - 1) // 2,
            stride=config.stride if number == 1 else 1,
        )
        if config.batch_norm:
            rows = normalise(rows, weights, f"bn{number}")
        if number == count and config.kind == "residual":
            rows = rows + shortcut(config, weights, before)
        rows = rows.clamp(min=0)
    if config.pool is not None:
        left = config.pool - 1 if config.padding == "causal" else (config.pool - 1) // 2
        around = [(max(0, step - left), step - left + config.pool) for step in range(0, len(rows), 2)]
        rows = torch.stack([rows[start:end].amax(0) for start, end in around])
    return rows


def shortcut(config: Block, weights: Weights, rows: Tensor) -> Tensor:
    if "downsample.0.weight" not in weights:
        return rows
    kept = rows[:: config.stride] @ weights["downsample.0.weight"][:, :, 0].T
    if config.batch_norm:
        return normalise(kept, weights, "downsample.1")
    return kept + weights["downsample.0.bias"]


def blocks(configs: tuple[Block, ...], weights: Weights, rows: Tensor) -> Tensor:
    for number, config in enumerate(configs):
        rows = block(config, under(f"{number}.", weights), rows)
    return rows


def _blocks(config: SeriesEncoder) -> tuple[Block, ...]:
    """The stages before the recurrence, which are blocks here."""
    assert all(isinstance(stage, Block) for stage in config.front)
    return cast(tuple[Block, ...], config.front)


def recurrent(spec: Recurrence, weights: Weights, rows: Tensor) -> tuple[Tensor, Tensor]:
    """rows (steps, input) through torch.nn: outputs (steps, output), and the summary: forward ends at the last step,
    backward at the first."""
    module = torch_module(spec)
    module.load_state_dict(weights)
    outputs, _ = module(rows.unsqueeze(0))
    size = spec.hidden_size
    return outputs[0], torch.cat((outputs[0, -1, :size], outputs[0, 0, size:]))


def series_features(config: SeriesEncoder, pooling: tuple[str, ...], weights: Weights, rows: Tensor) -> Tensor:
    """rows (steps, features) to the input of the head; `weights` of the encoder."""
    read = rows.T if config.transposed else blocks(_blocks(config), under("front.", weights), rows)
    outputs, summary = recurrent(config.recurrence, under("recurrence.", weights), read)
    parts = pooled(pooling, outputs, summary)
    if config.branch:
        parts.append(blocks(config.branch, under("branch.", weights), rows).mean(0))
    return torch.cat(parts)


def pooled(pooling: tuple[str, ...], outputs: Tensor, summary: Tensor) -> list[Tensor]:
    parts = {"last": summary, "max": outputs.amax(0), "mean": outputs.mean(0)}
    return [parts[name] for name in pooling]


def head(layers: tuple[Layer, ...], weights: Weights, features: Tensor) -> Tensor:
    """features (inputs,) through the layers of a head."""
    for number, layer in enumerate(layers):
        features = weights[f"{number}.weight"] @ features + weights[f"{number}.bias"]
        if layer.batch_norm:
            features = normalise(features, weights, f"norm{number}")
        if layer.activation != "none":
            features = getattr(torch, layer.activation)(features)
    return features


def linear(weights: Weights, name: str, features: Tensor) -> Tensor:
    return weights[f"{name}.weight"] @ features + weights[f"{name}.bias"]


def forecast(config: Forecaster, weights: Weights, rows: Tensor, steps: int, last: Tensor) -> Tensor:
    """rows (source, features) to the rows that follow (steps, targets), as the architecture's docstrings say."""
    encoder = config.encoder
    encoder_weights, head_weights = under("encoder.", weights), under("head.", weights)

    def once(series: Tensor) -> Tensor:
        features = series_features(encoder, config.pooling, encoder_weights, series)
        return linear(weights, "output", head(config.head, head_weights, features)).view(-1, config.targets)

    if config.decoder is not None:
        return _decoded(config, weights, rows, steps, last)
    if config.feedback == "none":
        return once(rows)
    found: list[Tensor] = []
    for _ in range(steps):
        found.append(once(rows)[0])
        read = rows[1:] if config.feedback == "window" else rows  # going on from the state is reading on
        rows = torch.cat((read, found[-1].unsqueeze(0)))
    return torch.stack(found)


def _decoded(config: Forecaster, weights: Weights, rows: Tensor, steps: int, last: Tensor) -> Tensor:
    assert config.decoder is not None
    reader = torch_module(config.encoder.recurrence)
    reader.load_state_dict(under("encoder.recurrence.", weights))
    writer = torch_module(config.encoder.recurrence.model_copy(update={"input_size": config.targets}))
    writer.load_state_dict(under("decoder.recurrence.", weights))
    _, state = reader(blocks(_blocks(config.encoder), under("encoder.front.", weights), rows).unsqueeze(0))
    row = last if config.decoder.first_input == "last" else torch.zeros(config.targets)
    found = []
    for _ in range(steps):
        output, state = writer(row.view(1, 1, -1), state)
        row = linear(weights, "output", head(config.head, under("head.", weights), output[0, 0]))
        found.append(row)
    return torch.stack(found)


def every_path(labels: int, length: int) -> list[tuple[int, ...]]:
    """All sequences of labels of a length."""
    return list(itertools.product(range(labels), repeat=length))


def path_score(weights: Weights, logits: Tensor, path: tuple[int, ...]) -> Tensor:
    """The score of a sequence of labels for logits (source, labels): Lafferty et al. (2001), section 3."""
    score = weights["start"][path[0]] + weights["end"][path[-1]]
    for position, label in enumerate(path):
        score = score + logits[position, label]
    for before, after in itertools.pairwise(path):
        score = score + weights["transitions"][before, after]
    return score
