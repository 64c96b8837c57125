"""Encoders, stages, poolings and heads as operators of ONNX."""

from typing import NamedTuple, assert_never

from app.errors import ExportFailed
from app.export.onnx.graph import Graph
from app.export.onnx.protobuf import Attribute
from app.export.onnx.recurrence import beside_input, last_cell, unrolled
from app.store.block import Block
from app.store.classifier import Classifier
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster
from app.store.layer import Head
from app.store.pooled import AttentionPooling
from app.store.stages import Affine, LayerNorm, LinearStage, RecurrenceStage, Stages
from app.store.window_language_model import WindowLanguageModel
from app.store.windowed_stages import Convolution, Pool

_HALF = 2  # stride of the pool of a block


class Encoded(NamedTuple):
    """Outputs (batch, steps, features), last states (batch, features), those of all layers (layers * directions, batch,
    hidden), and the output of a branch (batch, features)."""

    rows: str
    last: str
    states: tuple[str, ...]
    branch: str | None


def encoded(graph: Graph, source: str, config: TextEncoder | SeriesEncoder | FramesEncoder) -> Encoded:
    """Ids (batch, steps) or scaled rows through an encoder. Nothing is masked (see `app.export.masks`)."""
    if isinstance(config, FramesEncoder):
        raise ExportFailed("a network over images cannot be exported as ONNX")
    branch = None
    rows = source
    if isinstance(config, TextEncoder):
        rows = graph.node("Gather", graph.weight("encoder.embedding.weight"), source)
    elif config.branch:
        branch = graph.turned(source, 0, 2, 1)
        for number, part in enumerate(config.branch):
            branch = _block(graph, branch, part, f"encoder.branch.{number}")
        branch = graph.node("ReduceMean", branch, axes=[2], keepdims=0)
    if isinstance(config, SeriesEncoder) and config.transposed is not None:
        rows = graph.turned(rows, 0, 2, 1)
    rows = stages(graph, rows, config.front, "encoder.front")
    outputs, last, states = unrolled(graph, rows, config.recurrence, "encoder.recurrence", config.join)
    rows = beside_input(graph, outputs, rows, config.keeps_input)
    return Encoded(stages(graph, rows, config.back, "encoder.back"), last, states, branch)


def stages(graph: Graph, rows: str, configs: Stages, prefix: str) -> str:
    """rows (batch, steps, features) through stages."""
    for number, config in enumerate(configs):
        ours = f"{prefix}.{number}"
        match config:
            case Block():
                rows = graph.turned(_block(graph, graph.turned(rows, 0, 2, 1), config, ours), 0, 2, 1)
            case Convolution():
                weights = graph.weight(f"{ours}.weight"), graph.weight(f"{ours}.bias")
                sizes = {"kernel_shape": [config.kernel], "dilations": [config.dilation], "strides": [config.stride]}
                given = (graph.turned(rows, 0, 2, 1), *weights)
                across = graph.nodes("Conv", given, 1, {**sizes, **_padding(config)})[0]
                rows = graph.applied(config.activation, graph.turned(across, 0, 2, 1), config.slope)
            case Pool():
                rows = _pool(graph, rows, config)
            case LinearStage():
                rows = graph.layer(rows, config, ours, f"{ours}.norm")
            case Affine():
                moved = graph.affine(rows, graph.weights[f"{ours}.scale"], graph.weights[f"{ours}.shift"])
                rows = graph.applied(config.activation, moved, config.slope)
            case LayerNorm():
                rows = layer_normed(graph, rows, config, ours)
            case RecurrenceStage():
                outputs, _, _ = unrolled(graph, rows, config.recurrence, f"{ours}.recurrence", config.join)
                rows = beside_input(graph, outputs, rows, config.keeps_input)
            case _:
                assert_never(config)
    return rows


def layer_normed(graph: Graph, rows: str, config: LayerNorm, prefix: str) -> str:
    weights = graph.weight(f"{prefix}.weight"), graph.weight(f"{prefix}.bias")
    return graph.node("LayerNormalization", rows, *weights, axis=-1, epsilon=config.epsilon)


def pooled(graph: Graph, config: Classifier | Forecaster | WindowLanguageModel, source: Encoded) -> str:
    """Outputs over time to (batch, features)."""
    rows, last, states, branch = source
    values = []
    for pooling in config.pooling:
        match pooling:
            case "last":
                values.append(last)
            case "last_cell":
                values.append(last_cell(graph, states[1], config.encoder.recurrence, config.encoder.join))
            case "last_output":
                last_rows = graph.node("Slice", rows, *(graph.constant([n]) for n in (-1, 2**31, 1)))
                values.append(graph.node("Squeeze", last_rows, graph.constant([1])))
            case "max" | "mean":
                operator = "ReduceMax" if pooling == "max" else "ReduceMean"
                values.append(graph.node(operator, rows, axes=[1], keepdims=0))
            case "sum":
                values.append(graph.node("ReduceSum", rows, graph.constant([1]), keepdims=0))
            case "attention":
                assert config.attention is not None  # see `Classifier`
                values.append(_attended(graph, config.attention, rows, last))
            case "flatten":
                values.append(graph.node("Flatten", rows, axis=1))
            case _:
                assert_never(pooling)
    values += [branch] if branch else []
    return values[0] if len(values) == 1 else graph.node("Concat", *values, axis=1)


def head(graph: Graph, value: str, layers: Head, norm: LayerNorm | None = None) -> str:
    """The layers of a head, and the output layer."""
    if norm is not None:
        value = layer_normed(graph, value, norm, "head.norm")
    for number, layer in enumerate(layers):
        value = graph.layer(value, layer, f"head.{number}", f"head.norm{number}")
    return graph.linear(value, "output")


def _attended(graph: Graph, config: AttentionPooling, rows: str, last: str) -> str:
    function = config.activation or "none"
    match config.kind:
        case "dot":
            scores = graph.node("MatMul", rows, graph.node("Unsqueeze", last, graph.constant([2])))
        case "linear":
            scores = graph.applied(function, graph.linear(rows, "attention.score"), config.slope)
        case "additive":
            keys = graph.applied(function, graph.linear(rows, "attention.key"), config.slope)
            scores = graph.linear(keys, "attention.score")
        case _:
            assert_never(config.kind)
    weights = graph.node("Softmax", scores, axis=1)
    return graph.node("ReduceSum", graph.node("Mul", weights, rows), graph.constant([1]), keepdims=0)


def _pool(graph: Graph, rows: str, config: Pool) -> str:
    sizes = {"kernel_shape": [config.size], "strides": [config.stride], **_padding(config)}
    across = graph.turned(rows, 0, 2, 1)
    if config.function == "max":
        made = graph.nodes("MaxPool", (across,), 1, sizes)[0]
    else:
        counts = int(config.padding != "same")
        made = graph.nodes("AveragePool", (across,), 1, {**sizes, "count_include_pad": counts})[0]
    return graph.turned(made, 0, 2, 1)


def _padding(config: Convolution | Pool) -> dict[str, Attribute]:
    match config.padding:
        case "valid":
            return {}
        case "same":
            return {"auto_pad": "SAME_UPPER"}
        case "causal":
            return {"pads": [config.reach - 1, 0]}
        case number:
            return {"pads": [number, number]}


def _block(graph: Graph, features: str, config: Block, prefix: str) -> str:
    """features (batch, inputs, steps) to (batch, width, steps)."""
    before, stride = features, config.stride
    for number, kernel in enumerate(config.kernels, 1):
        features = _convolved(graph, features, config, f"{prefix}.conv{number}", f"{prefix}.bn{number}", kernel, stride)
        stride = 1
        if number == len(config.kernels) and config.kind == "residual":
            if f"{prefix}.downsample.0.weight" in graph.weights:
                names = f"{prefix}.downsample.0", f"{prefix}.downsample.1"
                before = _convolved(graph, before, config, *names, 1, config.stride)
            features = graph.node("Add", features, before)
        features = graph.node("Relu", features)
    if config.pool is not None:
        sizes = {"kernel_shape": [config.pool], "strides": [_HALF], "pads": _beside(config, config.pool)}
        features = graph.nodes("MaxPool", (features,), 1, sizes)[0]
    return features


def _convolved(
    graph: Graph, features: str, config: Block, convolution: str, norm: str, kernel: int, stride: int
) -> str:
    bias = (graph.weight(f"{convolution}.bias"),) if f"{convolution}.bias" in graph.weights else ()
    given = (features, graph.weight(f"{convolution}.weight"), *bias)
    sizes = {"kernel_shape": [kernel], "strides": [stride], "pads": _beside(config, kernel)}
    features = graph.nodes("Conv", given, 1, sizes)[0]
    if not config.batch_norm:
        return features
    return graph.turned(graph.normed(graph.turned(features, 0, 2, 1), norm), 0, 2, 1)


def _beside(config: Block, kernel: int) -> list[int]:
    left = kernel - 1 if config.padding == "causal" else (kernel - 1) // 2
    return [left, kernel - 1 - left]
