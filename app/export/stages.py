"""Stages before and after a recurrence as code. `x` is (batch, steps, features); all rows of a batch are as long."""

from typing import assert_never

from app.export.code import Code, applied
from app.export.recurrence import joined, kept, name_of, recurrence, unrolled
from app.store.block import Block
from app.store.layer import Layer
from app.store.stages import Affine, LayerNorm, LinearStage, RecurrenceStage, Stages
from app.store.windowed_stages import Convolution, Pool

_ACROSS = "x.transpose(1, 2)"  # features before steps, as convolutions read them


def stages(code: Code, configs: Stages, inputs: int, *, name: str, ours: str) -> list[str]:
    """Lines of `forward`; `name` begins the names of the modules."""
    lines: list[str] = []
    for number, config in enumerate(configs):
        place, tensors = f"{name}{number}", f"{ours}.{number}"
        match config:
            case Block():
                lines.append(f"x = {block(code, config, inputs, place, tensors)}({_ACROSS}).transpose(1, 2)")
            case Convolution():
                lines += _convolution(code, config, inputs, place, tensors)
            case Pool():
                lines += _pool(config)
            case LinearStage():
                lines += layer(code, config, inputs, place, tensors, f"{tensors}.norm", over_steps=True)
            case Affine():
                scale = code.part(f"{place}_scale", f"nn.Parameter(torch.ones({inputs}))", f"{tensors}.scale")
                shift = code.part(f"{place}_shift", f"nn.Parameter(torch.zeros({inputs}))", f"{tensors}.shift")
                lines.append(f"x = {applied(config.activation, f'(x * {scale} + {shift})', config.slope)}")
            case LayerNorm():
                norm = code.part(place, f"nn.LayerNorm({inputs}, eps={config.epsilon})", tensors)
                lines.append(f"x = {norm}(x)")
            case RecurrenceStage():
                made = config.recurrence
                call = recurrence(code, f"{place}_{name_of(made)}", made, f"{tensors}.recurrence")
                reading = [*unrolled(call, made, state="_"), *joined(made, config.join)]
                lines += kept(config.keeps_input, reading)
            case _:
                assert_never(config)
        inputs = config.output_size(inputs)
    return lines


def layer(
    code: Code, config: Layer, inputs: int, name: str, ours: str, norm_ours: str, *, over_steps: bool = False
) -> list[str]:
    """A linear layer, batch normalisation if it has one, and a function, on `x`."""
    linear = f"x = {code.part(name, f'nn.Linear({inputs}, {config.size})', ours)}(x)"
    lines = [linear]
    if config.norm is not None:
        width = inputs if config.norm == "before" else config.size
        norm = code.part(f"{name}_norm", f"nn.BatchNorm1d({width}, eps={config.epsilon})", norm_ours)
        normed = f"x = {norm}({_ACROSS}).transpose(1, 2)" if over_steps else f"x = {norm}(x)"
        lines.insert(0 if config.norm == "before" else 1, normed)
    if config.activation != "none":
        lines.append(f"x = {applied(config.activation, 'x', config.slope)}")
    return lines


def block(code: Code, config: Block, inputs: int, name: str, ours: str) -> str:
    """Add a block of convolutions over (batch, features, steps)."""
    code.helpers["Block"] = _BLOCK
    options = f"{inputs}, {config.width}, {list(config.kernels)}, residual={config.kind == 'residual'}"
    options += f", norm={config.batch_norm}, causal={config.padding == 'causal'}"
    options += f", stride={config.stride}, pool={config.pool}"
    return code.part(name, f"Block({options})", ours)


def _convolution(code: Code, config: Convolution, inputs: int, name: str, ours: str) -> list[str]:
    options = f"{inputs}, {config.width}, {config.kernel}, stride={config.stride}, dilation={config.dilation}"
    conv = code.part(name, f"nn.Conv1d({options})", ours)
    return [
        *_padded(config, "0.0"),
        f"x = {applied(config.activation, f'{conv}({_ACROSS})', config.slope)}.transpose(1, 2)",
    ]


def _pool(config: Pool) -> list[str]:
    over = f"nn.functional.{'max' if config.function == 'max' else 'avg'}_pool1d"
    sizes = f"{config.size}, {config.stride}"
    lines = _padded(config, "-float('inf')" if config.function == "max" else "0.0")
    if config.function == "max" or config.padding != "same":
        return [*lines, f"x = {over}({_ACROSS}, {sizes}).transpose(1, 2)"]
    return [  # steps that are added do not count in a mean
        "ones = torch.ones_like(x)",
        *lines,
        *(line.replace("x = ", "ones = ").replace("pad(x", "pad(ones") for line in lines[-1:]),
        f"x = ({over}({_ACROSS}, {sizes}) / {over}(ones.transpose(1, 2), {sizes})).transpose(1, 2)",
    ]


def _padded(config: Convolution | Pool, fill: str) -> list[str]:
    """Lines that add steps before and after."""
    match config.padding:
        case "valid" | 0:
            return []
        case "causal":
            before, after = str(config.reach - 1), "0"
        case "same" if config.moves_by == 1:
            before, after = str((config.reach - 1) // 2), str(config.reach // 2)
        case "same":
            needed = f"-(-x.shape[1] // {config.moves_by}) * {config.moves_by} - {config.moves_by} + {config.reach}"
            return [
                f"missing = max(0, {needed} - x.shape[1])",
                f"x = nn.functional.pad(x, (0, 0, missing // 2, missing - missing // 2), value={fill})",
            ]
        case number:
            before = after = str(number)
    return [f"x = nn.functional.pad(x, (0, 0, {before}, {after}), value={fill})"]


_BLOCK = '''class Block(nn.Module):
    """Convolutions over time with batch normalisation and relu; residual adds the input before the last relu."""

    def __init__(self, inputs, width, kernels, residual, norm, causal, stride, pool):
        super().__init__()
        self.kernels, self.residual, self.norm, self.causal, self.pool = kernels, residual, norm, causal, pool
        before, step = inputs, stride
        for number, kernel in enumerate(kernels, 1):
            self.add_module(f"conv{number}", nn.Conv1d(before, width, kernel, step, bias=not norm))
            if norm:
                self.add_module(f"bn{number}", nn.BatchNorm1d(width))
            before, step = width, 1
        self.downsample = None
        if residual and (inputs != width or stride != 1):
            self.downsample = nn.Sequential(nn.Conv1d(inputs, width, 1, stride, bias=not norm))
            if norm:
                self.downsample.append(nn.BatchNorm1d(width))

    def pad(self, x, kernel):
        left = kernel - 1 if self.causal else (kernel - 1) // 2
        return nn.functional.pad(x, (left, kernel - 1 - left))

    def forward(self, x):
        shortcut = x
        for number, kernel in enumerate(self.kernels, 1):
            x = getattr(self, f"conv{number}")(self.pad(x, kernel))
            if self.norm:
                x = getattr(self, f"bn{number}")(x)
            if number == len(self.kernels) and self.residual:
                x = x + (shortcut if self.downsample is None else self.downsample(shortcut))
            x = torch.relu(x)
        return x if self.pool is None else nn.functional.max_pool1d(self.pad(x, self.pool), self.pool, 2)
'''
