"""Linear layers and recurrent layers by kernels of our own in C, which spend no time between the steps of a sequence.

Compiled when the package is installed, where there is a C compiler; for x86-64 with AVX2 or AVX-512. Where `available`
is false, `app.models.serving.packed` does the same through torch.
"""

from app.models.serving.native.cell import NativeCell
from app.models.serving.native.library import Level, best_level
from app.models.serving.native.matrix import NativeLinear
from app.models.serving.native.recurrent import NativeRecurrent
from app.models.serving.native.rows import attend, most_probable


def available() -> bool:
    """Whether the kernels are built and this processor can run them."""
    return best_level() is not None


__all__ = [
    "Level",
    "NativeCell",
    "NativeLinear",
    "NativeRecurrent",
    "attend",
    "available",
    "best_level",
    "most_probable",
]
