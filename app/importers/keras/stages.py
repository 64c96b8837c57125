"""Layers of Keras that work on steps as stages of ours: convolutions, poolings, dense layers, normalisations."""

import torch
from torch import Tensor

from app.importers.keras.activations import Function
from app.importers.keras.graph import Layer
from app.importers.keras.values import Piece
from app.importers.norms import scale_and_shift as batch_norm
from app.store.stages import Affine, LayerNorm, LinearStage
from app.store.windowed_stages import Convolution, Pool


def dense_arrays(layer: Layer, inputs: int) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias of a Dense layer. Raises ImportFailed if they do not fit."""
    units = int(layer.config["units"])
    if not layer.arrays or tuple(layer.arrays[0].shape) != (inputs, units):
        given = tuple(layer.arrays[0].shape) if layer.arrays else "none"
        raise layer.refuse(f"its weights must have shape {(inputs, units)}; the file has {given}")
    bias = layer.arrays[1].float() if len(layer.arrays) > 1 else torch.zeros(units)
    return layer.arrays[0].float().T.contiguous(), bias


def dense(layer: Layer, inputs: int, function: Function) -> Piece:
    """A Dense layer on every step."""
    weight, bias = dense_arrays(layer, inputs)
    stage = LinearStage(size=len(bias), activation=function.activation, slope=function.slope)
    return Piece(stage, {"weight": weight, "bias": bias}, layer)


def function_stage(layer: Layer, size: int, function: Function) -> Piece:
    """A function of each feature."""
    stage = Affine(activation=function.activation, slope=function.slope)
    return Piece(stage, {"scale": torch.ones(size), "shift": torch.zeros(size)}, layer)


def affine(layer: Layer, scale: Tensor, shift: Tensor) -> Piece:
    """A scale and shift of each feature."""
    return Piece(Affine(), {"scale": scale, "shift": shift}, layer)


def scale_and_shift(layer: Layer, size: int, *, axis: int) -> tuple[Tensor, Tensor]:
    """BatchNormalization, Normalization and Rescaling, for `size` features at `axis`. Raises ImportFailed."""
    config, arrays = layer.config, [array.double() for array in layer.arrays]
    if layer.kind.startswith("BatchNormalization"):
        _check_axis(layer, axis)
        gamma, beta = (arrays.pop(0) if config.get(name, True) else None for name in ("scale", "center"))
        if len(arrays) < 2 or len(arrays[0]) != size:
            raise layer.refuse("its moving mean and variance are missing")
        mean, variance = arrays[:2]
        epsilon = float(config.get("epsilon", 1e-3))
        return batch_norm(mean, variance, weight=gamma, bias=beta, epsilon=epsilon)
    if layer.kind == "Rescaling":
        given = (config.get("scale", 1.0), config.get("offset", 0.0))
        scale, shift = (torch.as_tensor(number, dtype=torch.double).flatten().expand(size) for number in given)
        return scale.float(), shift.float()
    return _normalization(layer, size)


def _normalization(layer: Layer, size: int) -> tuple[Tensor, Tensor]:
    """(x - mean) / max(sqrt(variance), 1e-7), the inverse of that with `invert`."""
    config = layer.config
    given = list(layer.arrays[:2])
    if config.get("mean") is not None:
        given = [torch.as_tensor(config["mean"]), torch.as_tensor(config["variance"])]
    if len(given) < 2:
        raise layer.refuse("it has no mean and variance: it was never adapted")
    mean, variance = (tensor.double().flatten() for tensor in given)
    if len(mean) not in (1, size):
        raise layer.refuse(f"it normalises {len(mean)} numbers, and a step has {size}; only axis -1 is supported")
    deviation = variance.sqrt().clamp(min=1e-7)
    scale, shift = (deviation, mean) if config.get("invert") else (1 / deviation, -mean / deviation)
    return scale.expand(size).float(), shift.expand(size).float()


def _check_axis(layer: Layer, last: int) -> None:
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    if axis not in (-1, last):
        raise layer.refuse(f"axis {axis} is not supported, only the last one")


def layer_norm(layer: Layer, size: int, *, axis: int) -> Piece:
    """LayerNormalization over `size` features at `axis`."""
    config, arrays = layer.config, [array.float() for array in layer.arrays]
    _check_axis(layer, axis)
    weight = arrays.pop(0) if config.get("scale", True) else torch.ones(size)
    bias = arrays.pop(0) if config.get("center", True) else torch.zeros(size)
    return Piece(LayerNorm(epsilon=float(config.get("epsilon", 1e-3))), {"weight": weight, "bias": bias}, layer)


def convolution(layer: Layer, inputs: int, function: Function) -> Piece:
    """Conv1D, SeparableConv1D and DepthwiseConv1D: (width, in, out) becomes (out, in, width)."""
    config = layer.config
    _check_channels(layer)
    arrays = [array.float() for array in layer.arrays]
    kernel, groups = arrays.pop(0), int(config.get("groups", 1))
    if layer.kind == "Conv1D":
        kernel = _all_groups(kernel, groups)
    else:
        kernel = _by_depth(kernel)
        if layer.kind == "SeparableConv1D":
            kernel = torch.einsum("win,no->wio", kernel, arrays.pop(0)[0])
    if kernel.shape[1] != inputs:
        raise layer.refuse(f"its kernel reads {kernel.shape[1]} features, and a step has {inputs}")
    bias = arrays[0] if arrays else torch.zeros(kernel.shape[2])
    stage = Convolution(
        width=kernel.shape[2],
        kernel=kernel.shape[0],
        stride=_one(config.get("strides", 1)),
        dilation=_one(config.get("dilation_rate", 1)),
        padding=config.get("padding", "valid"),
        activation=function.activation,
        slope=function.slope,
    )
    return Piece(stage, {"weight": kernel.permute(2, 1, 0).contiguous(), "bias": bias}, layer)


def _all_groups(kernel: Tensor, groups: int) -> Tensor:
    """A kernel (width, in / groups, out) over all inputs: zeros for those of other groups."""
    width, inputs, outputs = kernel.shape
    whole = kernel.new_zeros(width, inputs * groups, outputs)
    each = outputs // groups
    for number in range(groups):
        rows = slice(number * inputs, (number + 1) * inputs)
        whole[:, rows, number * each : (number + 1) * each] = kernel[:, :, number * each : (number + 1) * each]
    return whole


def _by_depth(kernel: Tensor) -> Tensor:
    """A kernel (width, in, multiplier), a group for each input, over all inputs."""
    width, inputs, multiplier = kernel.shape
    return _all_groups(kernel.reshape(width, 1, inputs * multiplier), inputs)


def pool(layer: Layer) -> Piece:
    """MaxPooling1D and AveragePooling1D."""
    config = layer.config
    _check_channels(layer)
    size = _one(config.get("pool_size", config.get("pool_length", 2)))
    stage = Pool(
        function="max" if layer.kind.startswith("Max") else "mean",
        size=size,
        stride=_one(config.get("strides") or size),
        padding=config.get("padding", "valid"),
    )
    return Piece(stage, {}, layer)


def _check_channels(layer: Layer) -> None:
    if layer.config.get("data_format") not in (None, "channels_last"):
        raise layer.refuse("data_format 'channels_first' is not supported")


def _one(value: int | list[int]) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)
