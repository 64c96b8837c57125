"""Encoders, poolings and heads as code."""

from typing import assert_never

from app.errors import ExportFailed
from app.export.code import Code, applied
from app.export.recurrence import joined, kept, last_of, name_of, recurrence, unrolled
from app.export.stages import block, layer, stages
from app.store.classifier import Classifier
from app.store.encoder_part import Pooling
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster
from app.store.layer import Head
from app.store.pooled import AttentionPooling
from app.store.recurrence import Join, Recurrence
from app.store.stages import LayerNorm
from app.store.window_language_model import WindowLanguageModel

Pooled = Classifier | Forecaster | WindowLanguageModel


def encoder(code: Code, config: TextEncoder | SeriesEncoder | FramesEncoder, *, name: str = "") -> list[str]:
    """Lines from the source `x` to outputs `x` (batch, steps, features) and the last states `last` and `state`; with a
    branch, also `branch`. Nothing is masked (see `app.export.masks`). `name` begins the names of the modules."""
    if isinstance(config, FramesEncoder):
        raise ExportFailed("a network over images cannot be exported: its model file would need more than torch")
    lines = []
    if isinstance(config, TextEncoder):
        made = f"nn.Embedding({config.vocabulary_size}, {config.source_size})"
        lines.append(f"x = {code.part(f'{name}embedding', made, 'encoder.embedding')}(x)")
    elif config.branch:
        lines += _branch(code, config)
    if isinstance(config, SeriesEncoder) and config.transposed is not None:
        lines.append("x = x.transpose(1, 2)  # the recurrence reads columns as steps")
    lines += stages(code, config.front, config.source_size, name=f"{name}before", ours="encoder.front")
    made_recurrence = config.recurrence
    call = recurrence(code, f"{name}{name_of(made_recurrence)}", made_recurrence, "encoder.recurrence")
    reading = [*unrolled(call, made_recurrence), *joined(made_recurrence, config.join)]
    lines += kept(config.keeps_input, reading)
    lines.append(f"last = {last_of(made_recurrence, config.join)}")
    return lines + stages(code, config.back, config.output_size, name=f"{name}after", ours="encoder.back")


def _branch(code: Code, config: SeriesEncoder) -> list[str]:
    lines, inputs = ["branch = x.transpose(1, 2)"], config.features
    for number, part in enumerate(config.branch):
        call = block(code, part, inputs, f"branch{number}", f"encoder.branch.{number}")
        lines.append(f"branch = {call}(branch)")
        inputs = part.width
    return [*lines, "branch = branch.mean(2)"]


def pooled(code: Code, config: Pooled) -> list[str]:
    """Lines that pool the outputs `x` to (batch, features)."""
    lines: list[str] = []
    values = []
    for pooling in config.pooling:
        if pooling == "attention":
            assert config.attention is not None  # see `Classifier`
            lines += _attention(code, config.attention, config.encoder.memory_size)
        values.append(_pooled(pooling, config.encoder.recurrence, config.encoder.join))
    if config.encoder.branch_size:
        values.append("branch")
    value = values[0] if len(values) == 1 else f"torch.cat([{', '.join(values)}], 1)"
    return [*lines, f"x = {value}"]


def _pooled(pooling: Pooling, recurrence: Recurrence, join: Join) -> str:
    match pooling:
        case "last":
            return "last"
        case "last_cell":
            return last_of(recurrence, join, part=1)
        case "last_output":
            return "x[:, -1]"
        case "max":
            return "x.amax(1)"
        case "mean" | "sum":
            return f"x.{pooling}(1)"
        case "attention":
            return "(weights * x).sum(1)"
        case "flatten":
            return "x.flatten(1)"
        case _:
            assert_never(pooling)


def _attention(code: Code, config: AttentionPooling, size: int) -> list[str]:
    """Lines that make `weights` (batch, steps, 1)."""
    if config.kind == "dot":
        return ["weights = (x @ last.unsqueeze(2)).softmax(1)"]
    function = config.activation or "none"
    if config.kind == "linear":
        score = code.part("attention_score", f"nn.Linear({size}, 1)", "attention.score")
        return [f"weights = {applied(function, f'{score}(x)', config.slope)}.softmax(1)"]
    key = code.part("attention_key", f"nn.Linear({size}, {config.size})", "attention.key")
    score = code.part("attention_score", f"nn.Linear({config.size}, 1)", "attention.score")
    return [f"weights = {score}({applied(function, f'{key}(x)', config.slope)}).softmax(1)"]


def head(
    code: Code, layers: Head, inputs: int, outputs: int, norm: LayerNorm | None = None, *, over_steps: bool = False
) -> list[str]:
    """Lines of the head's layers and the output layer."""
    lines = []
    if norm is not None:
        lines.append(f"x = {code.part('norm', f'nn.LayerNorm({inputs}, eps={norm.epsilon})', 'head.norm')}(x)")
    for number, config in enumerate(layers):
        ours = f"head.{number}"
        lines += layer(code, config, inputs, f"head{number}", ours, f"head.norm{number}", over_steps=over_steps)
        inputs = config.size
    return [*lines, f"x = {code.part('output', f'nn.Linear({inputs}, {outputs})', 'output')}(x)"]
