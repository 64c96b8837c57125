"""A chain of foreign parts as an encoder of ours, without its embedding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from app.importers.chain import Chain
from app.importers.general_options import slope_of
from app.importers.norms import affine
from app.importers.options import OptionValues
from app.importers.parts import linear, prefixed, recurrent_weights
from app.importers.structure import Group
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence
from app.store.stages import Affine, LayerNorm, LinearStage, RecurrenceStage, Stage
from app.store.windowed_stages import Convolution, Pool


@dataclass
class Parts:
    """Parts of an encoder, and tensors by our names."""

    front: list[Stage] = field(default_factory=list)
    back: list[Stage] = field(default_factory=list)
    recurrence: Recurrence | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def over(self, table: Tensor) -> TextEncoder:
        """The encoder of texts whose ids have this embedding (rows, size)."""
        assert self.recurrence is not None
        rows, size = table.shape
        return TextEncoder(
            vocabulary_size=rows,
            embedding_size=size if self.front else None,
            front=tuple(self.front),
            recurrence=self.recurrence,
            back=tuple(self.back),
        )


def encoder_parts(chain: Chain, values: OptionValues) -> Parts:
    """The encoder without its embedding."""
    parts = Parts()
    nonlinearity = values.given.get("nonlinearity", "tanh")
    for group, norm in chain.front_layers:
        _add_front(parts, group, norm, values)
    *earlier, last = chain.recurrences
    for number, group in enumerate(earlier, 1):
        stage = RecurrenceStage(recurrence=chain.structure.recurrence(group, nonlinearity=nonlinearity))
        weights = prefixed(recurrent_weights(chain.structure.tensors, group.prefix), "recurrence.")
        _add(parts.front, "front", parts, stage, weights)
        for norm in chain.between.get(number, ()):
            _add_norm(parts.front, "front", parts, norm)
    parts.recurrence = chain.structure.recurrence(last, nonlinearity=nonlinearity)
    parts.tensors |= prefixed(recurrent_weights(chain.structure.tensors, last.prefix), "encoder.recurrence.")
    for norm in norms_of(chain, values)[0]:
        _add_norm(parts.back, "back", parts, norm)
    return parts


def norms_of(chain: Chain, values: OptionValues) -> tuple[Sequence[Group], Sequence[Group]]:
    """The norms after the recurrence: over its outputs, and over what the pooling makes of them."""
    if chain.pooled != chain.width:  # the sizes tell
        return [g for g in chain.back if g.outputs == chain.width], [g for g in chain.back if g.outputs != chain.width]
    return (chain.back, ()) if values.given.get("norm_at", "outputs") == "outputs" else ((), chain.back)


def _add_front(parts: Parts, group: Group, norm: Group | None, values: OptionValues) -> None:
    """A layer with its function and the norm behind it, which comes before the function or after it."""
    if group.kind in ("norm", "layer_norm"):
        _add_norm(parts.front, "front", parts, group)
        return
    if norm is not None and values.text("front_norm") == "input":
        _add_norm(parts.front, "front", parts, norm)
        norm = None
    is_convolution = group.kind == "convolution"
    function = values.text("conv_activation" if is_convolution else "front_activation")
    norm_first = norm is not None and values.text("front_norm") == "before"
    settings: dict[str, Any] = {"activation": "none" if norm_first else function, "slope": slope_of(values)}
    if is_convolution:
        width, _, kernel = group.weight.shape
        padding = values.text("conv_padding")
        settings |= {"width": width, "kernel": kernel, "padding": int(padding) if padding.isdecimal() else padding}
        settings |= {"stride": values.number("conv_stride"), "dilation": values.number("conv_dilation")}
        _add(parts.front, "front", parts, Convolution.model_validate(settings), linear(group.tensors, ""))
    else:
        stage = LinearStage.model_validate({"size": group.outputs, **settings})
        _add(parts.front, "front", parts, stage, linear(group.tensors, ""))
    if norm is not None:
        _add_norm(parts.front, "front", parts, norm, function if norm_first else "none", slope_of(values))
    if is_convolution and (size := values.number("conv_pool")) > 1:
        _add(parts.front, "front", parts, Pool(size=size, stride=size), {})


def _add_norm(
    stages: list[Stage], place: str, parts: Parts, group: Group, function: str = "none", slope: float = 0.01
) -> None:
    if group.kind == "layer_norm":
        weight = group.weight
        _add(stages, place, parts, LayerNorm(), {"weight": weight, "bias": group.tensors.get("bias", weight * 0)})
        if function != "none":
            unchanged = {"scale": torch.ones_like(weight), "shift": torch.zeros_like(weight)}
            _add(stages, place, parts, Affine.model_validate({"activation": function, "slope": slope}), unchanged)
        return
    scale, shift = affine(group.tensors)
    _add(
        stages,
        place,
        parts,
        Affine.model_validate({"activation": function, "slope": slope}),
        {"scale": scale, "shift": shift},
    )


def _add(stages: list[Stage], place: str, parts: Parts, stage: Stage, tensors: Mapping[str, Tensor]) -> None:
    parts.tensors |= prefixed(tensors, f"encoder.{place}.{len(stages)}.")
    stages.append(stage)
