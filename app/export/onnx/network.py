"""A version as one graph of ONNX, and its answers where onnxruntime is installed."""

import json
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import Tensor

from app.errors import ExportFailed
from app.export.masks import left_out
from app.export.onnx import protobuf
from app.export.onnx.encoder import encoded, head, pooled
from app.export.onnx.graph import Graph
from app.export.onnx.recurrence import unrolled
from app.models.networks import Network
from app.store.classifier import Classifier
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.recurrence import CELLS
from app.store.series_input import Feature
from app.store.tagger import Tagger
from app.store.window_language_model import WindowLanguageModel
from app.version import VERSION

FILE = "model.onnx"


def write_onnx(manifest: Manifest, network: Network, folder: Path) -> None:
    """Raises ExportFailed for a network that is no graph of ONNX."""
    graph = Graph(dict(network.state_dict()))
    _write(manifest, graph)
    said = {"name": manifest.key, "task": manifest.task, "licence": manifest.licence}
    if manifest.labels:
        said["labels"] = json.dumps(manifest.labels, ensure_ascii=False)
    if manifest.series is not None:
        said["features"] = json.dumps([feature.name for feature in manifest.series.features], ensure_ascii=False)
    written = protobuf.model(graph.written(manifest.name), ("unroll", VERSION), said)
    folder.joinpath(FILE).write_bytes(written)


def _write(manifest: Manifest, graph: Graph) -> None:
    config = manifest.architecture
    left_out(config)
    match config:
        case Classifier():
            source = encoded(graph, _source(manifest, graph), config.encoder)
            logits = head(graph, pooled(graph, config, source), config.head, config.norm)
            scores = (
                graph.node("Softmax", logits, axis=-1) if config.outputs == "softmax" else graph.node("Sigmoid", logits)
            )
            graph.output("scores", scores, ("batch", config.labels))
        case Tagger():
            if config.crf:
                raise ExportFailed("ONNX has no operator for the best sequence of a CRF; use --format pytorch")
            rows = encoded(graph, _source(manifest, graph), config.encoder).rows
            scores = graph.node("Softmax", head(graph, rows, config.head), axis=-1)
            graph.output("scores", scores, ("batch", "steps", config.labels))
        case Forecaster():
            _forecast(manifest, config, graph)
        case LanguageModel():
            _continue(config, graph)
        case WindowLanguageModel():
            source = encoded(graph, _source(manifest, graph), config.encoder)
            logits = head(graph, pooled(graph, config, source), config.head, config.norm)
            graph.output("logits", logits, ("batch", config.vocabulary_size))
        case EncoderDecoder():
            raise ExportFailed(
                "an encoder-decoder decodes step by step, and a graph of ONNX is one pass; use --format pytorch"
            )
        case _:
            assert_never(config)


def _source(manifest: Manifest, graph: Graph) -> str:
    """Ids, or rows in their own units, which become scaled rows."""
    encoder = manifest.architecture.encoder
    if manifest.series is None or not isinstance(encoder, SeriesEncoder):
        if encoder.kind != "text":
            raise ExportFailed("a network over images cannot be exported as ONNX")
        return graph.input("ids", protobuf.INT64, ("batch", "steps"))
    features = manifest.series.features
    rows = graph.input("rows", protobuf.FLOAT, ("batch", manifest.series.window or "steps", len(features)))
    rows = graph.node("Cast", rows, to=protobuf.DOUBLE)
    if any(feature.log1p for feature in features):
        logs = graph.node("Log", graph.node("Add", rows, graph.constant(torch.ones(1).double())))
        rows = graph.node("Where", _is_log(graph, features), logs, rows)
    shifts, scales = _affine(graph, features)
    scaled = graph.node("Div", graph.node("Sub", rows, shifts), scales)
    return graph.node("Cast", scaled, to=protobuf.FLOAT)


def _forecast(manifest: Manifest, config: Forecaster, graph: Graph) -> None:
    if config.is_stepwise:
        raise ExportFailed(
            "a forecaster that reads its own rows needs steps, and a graph of ONNX is one pass; use --format pytorch"
        )
    assert manifest.series is not None  # see `Manifest`
    source = encoded(graph, _source(manifest, graph), config.encoder)
    if config.per_step:
        rows = graph.node("Slice", source.rows, *(graph.constant([n]) for n in (-config.horizon, 2**31, 1)))
    elif config.decoder is not None:
        summary = graph.node("Unsqueeze", pooled(graph, config, source), graph.constant([1]))
        repeated = graph.node("Tile", summary, graph.constant([1, config.horizon, 1]))
        made = config.decoder.recurrence(config.pooled_size)
        first = source.states if config.decoder.continues else ()
        rows, _, _ = unrolled(graph, repeated, made, "decoder.recurrence", state=first)
    else:
        rows = pooled(graph, config, source)
    values = graph.applied(config.output_activation, head(graph, rows, config.head, config.norm), config.slope)
    values = graph.node("Reshape", values, graph.constant([-1, config.horizon, config.targets]))
    shifts, scales = _affine(graph, manifest.series.targets)
    values = graph.node("Cast", values, to=protobuf.DOUBLE)
    values = graph.node("Add", graph.node("Mul", values, scales), shifts)
    if any(target.log1p for target in manifest.series.targets):
        powers = graph.node("Sub", graph.node("Exp", values), graph.constant(torch.ones(1).double()))
        values = graph.node("Where", _is_log(graph, manifest.series.targets), powers, values)
    values = graph.node("Cast", values, to=protobuf.FLOAT)
    graph.output("forecast", values, ("batch", config.horizon, config.targets))


def _continue(config: LanguageModel, graph: Graph) -> None:
    """States go in and come out; the first are zeros."""
    made = config.recurrence
    shape = (made.layers, "batch", made.hidden_size)
    names = ("hidden", "cell") if CELLS[made.cell].has_cell else ("hidden",)
    ids = graph.input("ids", protobuf.INT64, ("batch", "steps"))
    state = tuple(graph.input(name, protobuf.FLOAT, shape) for name in names)
    rows = graph.node("Gather", graph.weight("encoder.embedding.weight"), ids)
    rows, _, after = unrolled(graph, rows, made, "encoder.recurrence", state=state)
    if config.readout_size is not None:
        rows = graph.node("Tanh", graph.linear(rows, "decoder.readout"))
    graph.output("logits", graph.linear(rows, "decoder.output"), ("batch", "steps", config.vocabulary_size))
    for name, value in zip(names, after, strict=True):
        graph.output(f"next_{name}", value, shape)


def _affine(graph: Graph, features: tuple[Feature, ...]) -> tuple[str, str]:
    pairs = torch.tensor([feature.affine for feature in features], dtype=torch.float64)
    return graph.constant(pairs[:, 0].contiguous()), graph.constant(pairs[:, 1].contiguous())


def _is_log(graph: Graph, features: tuple[Feature, ...]) -> str:
    flags = graph.constant([int(feature.log1p) for feature in features])
    return graph.node("Cast", flags, to=9)  # bool


def run_onnx(folder: Path, inputs: dict[str, Tensor]) -> list[Tensor] | None:
    """The outputs of the written graph; None without onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        return None
    session: Any = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    return [torch.as_tensor(output) for output in outputs]
