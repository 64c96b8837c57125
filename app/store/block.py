"""Blocks of convolutions over time, with a shortcut or without. Free of torch."""

from typing import Annotated, Literal

from pydantic import Field

from app.store.part import Size
from app.store.stage_part import StagePart
from app.store.windowed_stages import Kernel


class Block(StagePart):
    """Convolutions over time, one for each of `kernels`, all of `width` features.

    `plain`: each convolution has batch normalisation and relu after it (Wang et al. 2017, section II.B).
    `residual`: the same, and a shortcut from before the first one is added before the last relu; where the width or the
    number of steps changes, the shortcut is a convolution of one step (Wang et al. 2017, section II.C, after He et al.
    2016).

    `padding` is zeros: `same` on both sides, the extra one of an even kernel after the steps; `causal` before them.

    `stride`: the first convolution keeps one step in `stride`. `pool` ends the block with the maximum over `pool` steps
    around every second one. Both keep the first step, so n steps become n / stride, rounded up.
    """

    kind: Literal["plain", "residual"]
    width: Size
    kernels: tuple[Kernel, ...] = Field(min_length=1, max_length=8)
    batch_norm: bool = True
    padding: Literal["same", "causal"] = "same"
    stride: Annotated[int, Field(gt=0, le=64)] = 1
    pool: Kernel | None = None

    @property
    def is_pointwise(self) -> bool:
        return False

    @property
    def keeps_mask(self) -> bool:
        return False

    @property
    def keeps_steps(self) -> bool:
        return self.stride == 1 and self.pool is None

    def output_size(self, before: int) -> int:
        return self.width

    def steps(self, before: int) -> int:
        strided = -(-before // self.stride)
        return strided if self.pool is None else -(-strided // 2)

    def least(self, after: int) -> int:
        strided = after if self.pool is None else 2 * (after - 1) + 1
        return (strided - 1) * self.stride + 1

    def describe(self) -> str:
        return f"{self.kind} {'-'.join(map(str, self.kernels))} x {self.width}"
