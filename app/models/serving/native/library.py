"""The compiled kernels and their structures, for ctypes. ctypes releases the interpreter lock during a call."""

import ctypes
from ctypes import POINTER, c_int, c_int32, c_int64, c_uint8, c_void_p
from enum import IntEnum
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import ClassVar


class Level(IntEnum):
    """An instruction set with kernels: of x86-64, each of which has those before it, or of ARM64."""

    AVX2 = 1
    AVX512 = 2
    AVX512_VNNI = 3
    NEON = 4

    @property
    def lanes(self) -> int:
        """float32 numbers in a vector."""
        return {Level.AVX2: 8, Level.NEON: 4}.get(self, 16)

    @property
    def group(self) -> int:
        """8-bit weights of a column that are multiplied together."""
        return 4 if self is Level.AVX512_VNNI else 2


class MatrixFields(ctypes.Structure):
    """`struct unroll_matrix`."""

    _fields_: ClassVar = [
        ("weights", c_void_p),
        ("scales", c_void_p),
        ("offsets", c_void_p),
        ("depth", c_int64),
        ("panels", c_int64),
        ("vectors", c_int32),
        ("type", c_int32),
        ("level", c_int32),
        ("unused", c_int32),
    ]


class CellFields(ctypes.Structure):
    """`struct unroll_cell`."""

    _fields_: ClassVar = [("matrix", MatrixFields), ("candidate_bias", c_void_p), ("kind", c_int64)]


class RunFields(ctypes.Structure):
    """`struct unroll_run`."""

    _fields_: ClassVar = [
        ("gates", c_void_p),
        ("outputs", c_void_p),
        ("firsts", c_void_p),
        ("lengths", c_void_p),
        ("hidden", c_void_p),
        ("cell", c_void_p),
        ("last_hidden", c_void_p),
        ("last_cell", c_void_p),
        ("positions", c_int64),
        ("rows", c_int64),
        ("gate_stride", c_int64),
        ("output_stride", c_int64),
        ("time_stride", c_int64),
        ("hidden_stride", c_int64),
        ("cell_stride", c_int64),
        ("backward", c_int64),
    ]


class AttentionFields(ctypes.Structure):
    """`struct unroll_attention`."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("query", "keys", "memory", "mask", "weights", "context")),
        *((name, c_int64) for name in ("rows", "positions", "key_size", "memory_size", "query_stride", "mask_stride")),
        *((name, c_int64) for name in ("keys_row", "keys_position", "memory_row", "memory_position")),
        ("score", c_void_p),
        ("relu", c_int64),
    ]


class DrawFields(ctypes.Structure):
    """`struct unroll_draws`."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("logits", "rows", "seeds", "steps", "top_k", "temperatures", "top_p", "min_p")),
        ("count", c_int64),
        ("size", c_int64),
    ]


class LayerFields(ctypes.Structure):
    """`struct unroll_layer`."""

    _fields_: ClassVar = [("matrix", MatrixFields), ("bias", c_void_p), ("size", c_int64)]


class DecoderFields(ctypes.Structure):
    """`struct unroll_decoder`."""

    _fields_: ClassVar = [
        ("embedding", c_void_p),
        ("projections", POINTER(LayerFields)),
        ("cells", POINTER(CellFields)),
        ("score", c_void_p),
        *((name, LayerFields) for name in ("input", "query", "gate", "readout", "output")),
        *((name, c_int64) for name in ("embedding_size", "embedding_type", "embedding_relu", "layers", "hidden_size")),
        *((name, c_int64) for name in ("memory_size", "key_size", "attention", "attention_relu", "attends_first")),
        *((name, c_int64) for name in ("fed", "part_count")),
        ("parts", c_int64 * 8),
        ("level", c_int32),
        ("unused", c_int32),
    ]


class UnitFields(ctypes.Structure):
    """`struct unroll_unit`."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("hidden", "cell", "fed", "log_probs", "first", "memory", "keys", "is_first")),
        *((name, c_void_p) for name in ("mask", "previous", "progress", "ended", "history", "limits")),
        ("drawn", DrawFields),
        *((name, c_int64) for name in ("count", "steps", "block", "end", "room", "positions")),
        *((name, c_int64) for name in ("memory_row", "memory_position", "keys_row", "keys_position", "mask_row")),
        *((name, c_int64) for name in ("made_steps", "made_rows")),
    ]


class ConvolutionFields(ctypes.Structure):
    """`struct unroll_convolution`."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("weights", "scales", "bias")),
        *((name, c_int64) for name in ("kernel", "stride", "outputs")),
    ]


class BlockFields(ctypes.Structure):
    """`struct unroll_block`."""

    _fields_: ClassVar = [
        ("convolutions", ConvolutionFields * 3),
        ("downsample", ConvolutionFields),
        ("count", c_int64),
        ("has_downsample", c_int64),
    ]


class ResNetFields(ctypes.Structure):
    """`struct unroll_resnet`."""

    _fields_: ClassVar = [
        ("stem", ConvolutionFields),
        ("blocks", POINTER(BlockFields)),
        *((name, c_int64) for name in ("count", "height", "width", "grid")),
        ("zero", c_uint8 * 8),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None if the package was installed without a C compiler."""
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_kernels{suffix}")
        if path.exists():
            return _declared(path)
    return None


def absence() -> str | None:
    """Why there are no kernels, for a sentence about them; None if there are."""
    if library() is not None:
        return None
    compiled = any(Path(__file__).with_name(f"_kernels{suffix}").exists() for suffix in EXTENSION_SUFFIXES)
    return "cannot be loaded" if compiled else "are not compiled"


def _declared(path: Path) -> ctypes.CDLL | None:
    try:
        kernels = ctypes.CDLL(str(path))
    except OSError:  # built for another processor or C library
        return None
    kernels.unroll_level.argtypes = kernels.unroll_pairs.argtypes = ()
    kernels.unroll_linear.argtypes = (POINTER(MatrixFields), *[c_void_p] * 2, c_int64, c_void_p, *[c_int64] * 3)
    kernels.unroll_run.argtypes = (POINTER(CellFields), POINTER(RunFields))
    kernels.unroll_attend.argtypes = (c_int, POINTER(AttentionFields))
    kernels.unroll_attend.restype = None
    kernels.unroll_best.argtypes = (c_int, c_void_p, c_int64, c_int64, c_void_p, c_void_p)
    kernels.unroll_best.restype = None
    kernels.unroll_draw.argtypes = (c_int, POINTER(DrawFields), c_void_p)
    kernels.unroll_decode.argtypes = (POINTER(DecoderFields), POINTER(UnitFields))
    for pool in (kernels.unroll_largest, kernels.unroll_sums):
        pool.argtypes = (c_void_p, *[c_int64] * 2, c_void_p, *[c_int64] * 2, c_void_p)
        pool.restype = None
    kernels.unroll_activate.argtypes = (c_int, c_int, c_int64, c_void_p, c_void_p)
    kernels.unroll_activate.restype = None
    kernels.unroll_resnet.argtypes = (POINTER(ResNetFields), c_void_p, c_int64, c_void_p)
    return kernels


@cache
def best_level() -> Level | None:
    """The best level of this processor; None if it has no kernels or they are not compiled."""
    kernels = library()
    number = 0 if kernels is None else kernels.unroll_level()
    return Level(number) if number else None


def levels() -> tuple[Level, ...]:
    """The instruction sets that this processor has, the best one last."""
    best = best_level()
    return (best,) if best is Level.NEON else tuple(level for level in Level if best and level <= best)


def multiplies_pairs(*, fast: bool = False) -> bool:
    """Whether this processor multiplies pairs of bfloat16, and with `fast` faster than it multiplies float32."""
    kernels = library()
    return kernels is not None and kernels.unroll_pairs() > int(fast)


def loaded() -> ctypes.CDLL:
    """The compiled kernels. Raises RuntimeError if there are none; `best_level` is None then."""
    kernels = library()
    if kernels is None:
        raise RuntimeError("the native kernels are not compiled: install the package with a C compiler")
    return kernels
