"""Weights in the layout of the kernels, and `nn.Linear` over them."""

import torch
from torch import Tensor, nn

from app.models.serving.native.library import (
    LayerFields,
    Level,
    MatrixFields,
    best_level,
    levels,
    loaded,
    multiplies_pairs,
)


def columns(values: Tensor, gates: int, lanes: int) -> Tensor:
    """(gates * size, depth) to (panels, depth, vectors * lanes), padded with zeros.

    A panel has all gates of `lanes` units, or of 4 * `lanes` units where there is a single gate.
    """
    blocks = 4 if gates == 1 else 1
    size, depth = values.shape[0] // gates, values.shape[1]
    panels = -(-size // (blocks * lanes))
    padded = values.new_zeros(gates, panels * blocks * lanes, depth)
    padded[:, :size] = values.view(gates, size, depth)
    apart = padded.view(gates, panels, blocks, lanes, depth).permute(1, 4, 0, 2, 3)
    return apart.reshape(panels, depth, gates * blocks * lanes).contiguous()


_TYPES = (torch.float16, torch.float32, torch.bfloat16, torch.int8)  # in the order of `enum type`
_WHOLE = 16  # 8-bit weights have a depth that is a multiple of this
DEEPEST = 65536  # for 8 bits: sums of more products may not fit int32, and such weights are float32


def grouped(panels: Tensor, size: int, whole: int) -> Tensor:
    """(panels, depth, width) to (panels, depth // size, width, size), with `size` weights of a column side by side;
    the depth is filled up with zeros to a multiple of `whole`."""
    filled = nn.functional.pad(panels, (0, 0, 0, -panels.shape[1] % whole))
    apart = filled.view(filled.shape[0], -1, size, filled.shape[2])
    return apart.transpose(2, 3).contiguous()


def in_8_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight (outputs, depth) as int8 of the same shape, and the value of 1 in each output (outputs,)."""
    scales = weight.float().abs().amax(1) / 127
    scales = torch.where(scales > 0, scales, 1.0)
    return (weight.float() / scales.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8), scales


class Matrix:
    """weight (gates * size, depth) as float16, float32, bfloat16 or int8. With bfloat16 the factors are rounded to
    bfloat16, too. With int8 each output has its own scale, each row of factors is rounded to 8 bits by its own largest
    number, and sums are exact. Products and sums are float32 otherwise."""

    def __init__(self, weight: Tensor, *, gates: int, dtype: torch.dtype, level: Level | None) -> None:
        chosen = level or best_level()
        if chosen not in levels():
            raise RuntimeError("there is no native kernel for this processor")
        if dtype not in _TYPES:
            raise TypeError(f"weights must be packed as float16, float32, bfloat16 or int8, not as {dtype}")
        if dtype == torch.bfloat16 and not (chosen is Level.AVX512_VNNI and multiplies_pairs()):
            raise RuntimeError("there is no bfloat16 kernel for this processor")
        if weight.dim() != 2 or weight.shape[0] % gates or not weight.numel():
            raise ValueError(f"weight {tuple(weight.shape)} cannot be split into {gates} gates")
        if weight.shape[1] > DEEPEST and dtype == torch.int8:
            dtype = torch.float32
        self.level, lanes = chosen, chosen.lanes
        self.depth = weight.shape[1]
        nothing = torch.empty(0)  # an empty view would keep all of the weights
        weight, self._scales = in_8_bits(weight.detach()) if dtype == torch.int8 else (weight.detach(), nothing)
        panels = columns(weight.to(dtype), gates, lanes)  # rounded first: the copies are smaller
        self.width = panels.shape[0] * panels.shape[2]
        self._offsets = nothing
        self.fields = MatrixFields(
            depth=self.depth,
            panels=panels.shape[0],
            vectors=panels.shape[2] // lanes,
            type=_TYPES.index(dtype),
            level=chosen,
        )
        if dtype == torch.int8:
            self._scales = columns(self._scales.unsqueeze(1), gates, lanes).flatten()
            self._offsets = (128 * panels.sum(1, dtype=torch.int32)).flatten()
            self.fields.scales, self.fields.offsets = self._scales.data_ptr(), self._offsets.data_ptr()
            panels = grouped(panels, chosen.group, _WHOLE)
        self.panels = grouped(panels, 2, 2) if dtype == torch.bfloat16 else panels
        self.fields.weights = self.panels.data_ptr()

    def multiply(self, inputs: Tensor, bias: Tensor, size: int) -> Tensor:
        """inputs (rows, depth) to (rows, size); with `size` equal to `width`, to all columns of the layout."""
        check(inputs, "inputs", self.depth)
        outputs = torch.empty(inputs.shape[0], size)
        status = loaded().unroll_linear(
            self.fields,
            bias.data_ptr(),
            inputs.data_ptr(),
            inputs.stride(0),
            outputs.data_ptr(),
            size,
            size,
            inputs.shape[0],
        )
        if status:
            raise MemoryError
        return outputs


class NativeLinear(nn.Module):
    """`nn.Linear` without gradients: (..., inputs) to (..., outputs), with weight (outputs, inputs)."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, dtype: torch.dtype = torch.float16, level: Level | None = None
    ) -> None:
        super().__init__()
        self._matrix = Matrix(weight, gates=1, dtype=dtype, level=level)
        self.register_buffer("panels", self._matrix.panels, persistent=False)
        self._size = weight.shape[0]
        self._bias = torch.zeros(self._matrix.width)
        if bias is not None:
            self._bias[: self._size] = bias.detach()

    @property
    def fields(self) -> LayerFields:
        """The layer as the kernels read it, while this module exists."""
        return LayerFields(self._matrix.fields, self._bias.data_ptr(), self._size)

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs if inputs.dim() == 2 else inputs.reshape(-1, inputs.shape[-1])
        outputs = self._matrix.multiply(rows, self._bias, self._size)
        return outputs if inputs.dim() == 2 else outputs.view(*inputs.shape[:-1], self._size)


def check(rows: Tensor, name: str, size: int) -> None:
    """Check what the kernels rely on: rows of `size` contiguous float32 numbers, on the CPU."""
    if rows.dtype != torch.float32 or rows.device.type != "cpu":
        raise TypeError(f"{name} must be float32 on the CPU, not {rows.dtype} on {rows.device}")
    if rows.dim() != 2 or rows.shape[1] != size:
        raise ValueError(f"{name} must be (rows, {size}), not {tuple(rows.shape)}")
    if size > 1 and rows.stride(1) != 1:
        raise ValueError(f"the numbers of a row of {name} must be contiguous")


def activated(name: str, values: Tensor, level: Level) -> Tensor:
    """`sigmoid` or `tanh` of values (size,) by the kernels, for tests."""
    check(values.unsqueeze(0), "values", values.shape[0])
    outputs = torch.empty_like(values)
    kind = ("sigmoid", "tanh").index(name)
    loaded().unroll_activate(level, kind, values.shape[0], values.data_ptr(), outputs.data_ptr())
    return outputs
