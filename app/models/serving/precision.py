"""The number types of a model, and its serving form on this processor or on a GPU.

The engine calls `prepare` or `prepare_for_gpu` once per model, after it loads the weights and before the first request.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from app.models.attention import Attention
from app.models.cells import Weights
from app.models.encoders import FramesEncoder, ImageEncoder, RecurrentEncoder, SeriesEncoder
from app.models.networks import Network, Tagger
from app.models.recurrent import Recurrent
from app.models.serving import native
from app.models.serving.flat import FlatRecurrent
from app.models.serving.folded import FoldedResNet
from app.models.serving.fused import FusedLSTM
from app.models.serving.native import NativeLinear, NativeRecurrent, NativeResNet, has_native_form
from app.models.serving.one_by_one import OneByOne
from app.models.serving.packed import PackedCell, PackedEmbedding, PackedLinear, has_packed_form
from app.models.serving.unrolled import PackedLayer, PackedRecurrent

Precision = Literal["auto", "float32", "float16", "bfloat16", "int8"]
Type = Literal["float16", "bfloat16", "int8"]

_NARROW = 16  # a linear layer with fewer outputs is not packed: FBGEMM works on 16 at a time
_ROUNDING = 1e-3  # float16 rounds by up to 5e-4 of a weight; more is overflow or underflow


class Capability(NamedTuple):
    """The fast paths of this processor and this build of torch."""

    packed_float16: bool  # FBGEMM: linear layers and cells with float16 weights
    fused_lstm: bool  # oneDNN: LSTM layers with weights packed once
    bfloat16: bool  # oneDNN: convolutions and LSTM layers in bfloat16
    native: tuple[Type, ...] = ()  # our kernels: recurrences and linear layers, in these types
    bfloat16_pays: tuple[Literal["onednn", "native"], ...] = ()  # where it is faster than float32
    resnet_int8: bool = False  # our kernels: a ResNet in 8 bits, which needs VNNI


def capability() -> Capability:
    """By rules, not by timing: two engines must choose the same. AVX512-BF16 multiplies bfloat16 at twice the rate of
    float32 on AMD, and at half of it on Intel, where AMX, of oneDNN alone, is faster still."""
    x86 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    level = native.best_level()
    onednn = x86 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return Capability(
        packed_float16=x86
        and "fbgemm" in torch.backends.quantized.supported_engines
        and hasattr(torch, "quantized_lstm")
        and hasattr(torch.ops.quantized, "linear_dynamic_fp16"),
        fused_lstm=onednn and hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight"),
        bfloat16=onednn and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()),
        native=()
        if level is None
        else ("float16", "bfloat16", "int8")
        if native.multiplies_pairs()
        else ("float16", "int8"),
        bfloat16_pays=("onednn", "native")
        if native.multiplies_pairs(fast=True)
        else ("onednn",)
        if torch.cpu._is_amx_tile_supported()
        else (),
        resnet_int8=level is native.Level.AVX512_VNNI,
    )


def precision_of(
    network: Network, wanted: Precision, of_model: Literal["auto", "float32", "int8"] = "auto"
) -> Precision:
    """The precision of a network where `wanted` is that of all, and `of_model` that of its manifest. Networks over
    numbers and frames compute in float32: their answers are numbers that users compare with their own code's. A
    manifest with `int8` allows 8 bits where the choice is `auto`."""
    if isinstance(network.encoder, SeriesEncoder | FramesEncoder) or of_model == "float32":
        return "float32"
    return of_model if wanted == "auto" else wanted


def image_encoder_of(network: Network) -> ImageEncoder | None:
    """The part of a network that reads images, if it has one."""
    encoder = network.encoder
    if isinstance(encoder, FramesEncoder):
        return encoder.image
    return encoder if isinstance(encoder, ImageEncoder) else None


def prepare(network: Network, precision: Precision, device: torch.device, *, able: Capability | None = None) -> str:
    """Turn a loaded network into its serving form, in place, on a CPU that is `able` to do what this
    one is, unless it is given. Returns a description of that form.

    `float32` gives the results of the training code. `float16`: weights in float16; activations and sums in float32.
    `bfloat16`: weights and factors in bfloat16; sums and states in float32; without native bfloat16 kernels only for
    the ResNet and the encoder's LSTM, by oneDNN. `int8`: weights and factors of recurrences and linear layers in 8
    bits, sums of products exact, all else as in `auto`. `auto`: the fastest type of this processor for each part that
    keeps 16 bits.

    A type that the processor lacks is replaced by the next more exact one. A recurrence stays in plain torch if the
    serving form does not have its kind of cell.
    """
    network.eval().requires_grad_(False).to(device)
    if precision == "float32":
        if (image := image_encoder_of(network)) is not None:
            image.resnet = OneByOne(image.resnet)  # type: ignore[assignment]
        return "float32"
    with torch.no_grad():
        return _on_cpu(network, precision, able or capability())


def prepare_for_gpu(network: Network, precision: Precision, device: torch.device) -> str:
    """The same on a GPU. `float16` and `bfloat16` are the type of all; `auto` and `float32` compute in float32, and
    `auto` rounds the factors of products to TF32 (see `products_in_tf32`); `int8` is `auto`."""
    network.eval().requires_grad_(False)
    dtype = getattr(torch, precision) if precision in ("float16", "bfloat16") else torch.float32
    with torch.no_grad():
        encoder = network.encoder
        if (image := image_encoder_of(network)) is not None:
            image.resnet = FoldedResNet(image.resnet, dtype)  # type: ignore[assignment]
        crf = network.crf if isinstance(network, Tagger) else None
        if isinstance(network, Tagger):
            network.crf = None  # not rounded: its sums are over whole sequences
        network.to(device, dtype)
        if isinstance(network, Tagger):
            network.crf = None if crf is None else crf.to(device)
        if isinstance(encoder, RecurrentEncoder):
            unrolled = [part for part in encoder.modules() if isinstance(part, Recurrent) and part.recurrence.is_usual]
            _replace(
                network,
                lambda child: FlatRecurrent(child) if isinstance(child, Recurrent) and child in unrolled else None,
            )
    if dtype != torch.float32:
        return f"{precision} throughout"
    return "float32 with products in TF32" if precision in ("auto", "int8") else "float32, TF32 off"


def _replace(network: nn.Module, form: Callable[[nn.Module], nn.Module | None]) -> dict[nn.Module, nn.Module]:
    """Replace modules by their serving form, where they have one: those replaced, and their forms. A module that two
    others share is replaced once."""
    replaced: dict[nn.Module, nn.Module] = {}
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if child not in replaced and (serving := form(child)) is not None:
                replaced[child] = serving
            if child in replaced:
                setattr(module, name, replaced[child])
    return replaced


def _on_cpu(network: Network, precision: Precision, able: Capability) -> str:
    words = []
    encoder = network.encoder
    native_type = _native_type(precision, able)
    pays = precision == "bfloat16" or (precision != "float16" and "onednn" in able.bfloat16_pays)
    dtype = torch.bfloat16 if able.bfloat16 and pays else torch.float32
    name = str(dtype).removeprefix("torch.")
    if (image := image_encoder_of(network)) is not None:
        if precision == "int8" and able.resnet_int8 and (resnet := _in_8_bits(image)) is not None:
            image.resnet = resnet  # type: ignore[assignment]
            image.normalisation = nn.Identity()  # type: ignore[assignment]
            words.append("ResNet int8 (batch norm folded, one call)")
        else:
            image.resnet = FoldedResNet(image.resnet, dtype)  # type: ignore[assignment]
            words.append(f"ResNet {name} (batch norm folded, channels last)")
    packs_lstm = able.fused_lstm and native_type is None
    if packs_lstm and isinstance(encoder, RecurrentEncoder) and _is_usual_lstm(encoder.recurrence):

        def pack(weights: Weights, backward: bool) -> PackedLayer:
            return FusedLSTM(weights, backward=backward, dtype=dtype)

        encoder.recurrence = PackedRecurrent(encoder.recurrence, pack)  # type: ignore[assignment]
        words.append(f"encoder LSTM {name} (packed once, without padding)")
    words.append(_pack_rest(network, able, native_type))
    return ", ".join(words)


def _in_8_bits(image: ImageEncoder) -> NativeResNet | None:
    """None if the kernels do not compute it: pixels with an unusual normalisation, or weights that are not finite."""
    if not image.normalisation.is_usual:
        return None
    try:
        return NativeResNet(image.resnet, image.normalisation)
    except ValueError:
        return None


def _is_usual_lstm(recurrent: Recurrent) -> bool:
    return recurrent.recurrence.cell == "lstm" and recurrent.recurrence.is_usual


def _native_type(precision: Precision, able: Capability) -> torch.dtype | None:
    """The number type of the native kernels; None where they are not used. They are the fastest for mixed lengths, but
    may not have bfloat16."""
    if "int8" in able.native and precision == "int8":
        return torch.int8
    pays = precision == "bfloat16" or (precision != "float16" and "native" in able.bfloat16_pays)
    if "bfloat16" in able.native and pays:
        return torch.bfloat16
    by_onednn = precision == "bfloat16" and able.bfloat16
    return torch.float16 if "float16" in able.native and not by_onednn else None


def _pack_rest(network: Network, able: Capability, native_type: torch.dtype | None) -> str:
    """Pack every module that has no serving form yet, with weights of 16 or 8 bits."""
    what = "recurrences and linear layers"
    if native_type is None and not able.packed_float16:
        return f"{what} float32 (no FBGEMM on this processor)"
    change = rounding(network)
    if native_type not in (torch.bfloat16, torch.int8) and not change <= _ROUNDING:
        return f"{what} float32 (their weights do not fit float16)"

    def packed_form(child: nn.Module) -> nn.Module | None:
        if isinstance(child, Recurrent):
            return _packed_recurrent(child, native_type)
        if isinstance(child, nn.Embedding) and change <= _ROUNDING:
            return PackedEmbedding(child)
        if isinstance(child, nn.Linear) and child.out_features >= _NARROW:
            return _packed_linear(child, native_type)
        return None

    packed = _replace(network, packed_form)
    encoder = network.config.encoder
    is_masked = encoder.kind != "image" and encoder.is_masked  # then positions that count may follow others
    for module in network.modules():
        if isinstance(module, Attention):
            module.by_sigmoid, module.natively = True, native_type is not None and not is_masked
    words = what if native_type is None else f"native {what}"
    if native_type in (torch.bfloat16, torch.int8):
        words += f" {str(native_type).removeprefix('torch.')}"
    else:
        words += " float16 weights" + (f" (rounded by up to {change:.0e})" if change else "")
    plain = {child.recurrence.words for child in packed.values() if isinstance(child, Recurrent)}
    return ", ".join([words, *(f"{cell} float32 (it has no packed form)" for cell in sorted(plain))])


def _packed_linear(linear: nn.Linear, native_type: torch.dtype | None) -> nn.Module:
    return PackedLinear(linear) if native_type is None else NativeLinear(linear.weight, linear.bias, dtype=native_type)


def _packed_recurrent(recurrent: Recurrent, native_type: torch.dtype | None) -> nn.Module:
    """Its serving form; `recurrent` itself where the form does not have its kind of cell."""
    kind = recurrent.recurrence.cell
    if not recurrent.recurrence.is_usual:
        return recurrent
    if native_type is not None:
        return NativeRecurrent(recurrent, dtype=native_type) if has_native_form(kind) else recurrent
    if not has_packed_form(kind):
        return recurrent
    return PackedRecurrent(recurrent, lambda weights, backward: PackedCell(kind, weights, backward=backward))


def rounding(network: nn.Module) -> float:
    """The largest change that float16 would make to a weight, as a share of the largest weight of its tensor."""
    changes = [0.0]
    for weight in (weight.detach() for weight in _packable(network)):
        change = weight.half().float().sub_(weight).abs_().max() / weight.abs().max().clamp(min=1e-30)
        changes.append(float(change))
    return max(changes)


def _packable(network: nn.Module) -> Iterator[Tensor]:
    for module in network.modules():
        if isinstance(module, Recurrent):
            kind = module.recurrence.cell
            if module.recurrence.is_usual and (has_packed_form(kind) or has_native_form(kind)):
                for layer in module.weights_by_layer():
                    for weights in layer:
                        yield from (weights.weight_ih, weights.weight_hh)
        elif isinstance(module, nn.Embedding) or (isinstance(module, nn.Linear) and module.out_features >= _NARROW):
            yield module.weight
