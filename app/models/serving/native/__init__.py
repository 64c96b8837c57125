"""Linear layers, recurrent layers, attention, the choice of a token and a ResNet in our own C kernels: one call for all
steps or images.

They are compiled when the package is installed with a C compiler, for x86-64 with AVX2 or AVX-512, and for ARM64.
Elsewhere `app.models.serving.packed` does the same through torch, where torch can.
"""

from app.models.serving.native.cell import NativeCell, has_native_form
from app.models.serving.native.library import Level, absence, best_level, levels, multiplies_pairs
from app.models.serving.native.matrix import NativeLinear
from app.models.serving.native.recurrent import NativeRecurrent
from app.models.serving.native.resnet import NativeResNet
from app.models.serving.native.rows import attend, draw, largest, most_probable, summed


def available() -> bool:
    """Whether the kernels are compiled and this processor can run them."""
    return best_level() is not None


__all__ = [
    "Level",
    "NativeCell",
    "NativeLinear",
    "NativeRecurrent",
    "NativeResNet",
    "absence",
    "attend",
    "available",
    "best_level",
    "draw",
    "has_native_form",
    "largest",
    "levels",
    "most_probable",
    "multiplies_pairs",
    "summed",
]
