"""What follows the encoder of a chain: pooling, attention, head and output layer of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.importers.chain import Chain, HeadLayer
from app.importers.general_encoder import norms_of
from app.importers.general_options import DOT, is_next, poolings_of, slope_of
from app.importers.layout import require
from app.importers.norms import taken_in
from app.importers.options import OptionValues
from app.importers.parts import linear, prefixed
from app.importers.structure import Group
from app.store.layer import Layer
from app.store.pooled import AttentionPooling
from app.store.stages import LayerNorm


@dataclass(frozen=True)
class Answer:
    """What follows the encoder: members of the architecture, and tensors by our names."""

    members: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    outputs: int


def answer_of(chain: Chain, values: OptionValues) -> Answer:
    """Pooling, attention, head and output layer. `outputs` are those of the output layer."""
    chosen = values.given.get("pooling") or poolings_of(chain)[0]
    layers = [_layer(layer, values) for layer in chain.head]
    tensors: dict[str, Tensor] = {}
    weights = [dict(linear(layer.linear.tensors, "")) for layer in chain.head]
    norms = [layer.norm for layer in chain.head]
    for number, layer in enumerate(chain.head[:-1]):
        if _follows_function(layer, values):
            assert layer.norm is not None
            weights[number + 1] = taken_in(layer.norm.tensors, weights[number + 1])
            norms[number] = None
    attended = values.given.get("attended", "none")
    layer_norm = _folded_norms(norms_of(chain, values)[1], weights[0])
    weights[0]["weight"], poolings, window = _read_by(chosen, weights[0]["weight"], chain, values)
    if attended != "none":
        require(
            chosen == "attention", "--set attended= is the function on what pooling attention makes, and on it alone"
        )
        identity = torch.eye(chain.pooled, dtype=weights[0]["weight"].dtype)
        layers.insert(
            0, Layer.model_validate({"size": chain.pooled, "activation": attended, "slope": slope_of(values)})
        )
        weights.insert(0, {"weight": identity, "bias": identity.new_zeros(chain.pooled)})
        norms.insert(0, None)
    members: dict[str, Any] = {"pooling": poolings, "head": tuple(layers[:-1])}
    if layer_norm is not None:
        require(attended == "none", "a layer norm after pooling attention takes no function (--set attended=none)")
        members["norm"] = LayerNorm()
        tensors |= prefixed(_pooled_norm(layer_norm, chosen, chain), "head.norm.")
    if window is not None:
        members["window"] = window
    if chosen == DOT:
        require(
            not norms_of(chain, values)[0], "pooling attention_dot reads outputs without a norm: --set norm_at=pooled"
        )
        members["attention"] = AttentionPooling(kind="dot")
    elif "attention" in poolings:
        members["attention"], attention = _attention(chain, values)
        tensors |= prefixed(attention, "attention.")
    for number, (norm, mine) in enumerate(zip(norms[:-1], weights[:-1], strict=True)):
        tensors |= prefixed(mine, f"head.{number}.")
        if norm is not None:
            tensors |= prefixed(norm.tensors, f"head.norm{number}.")
    return Answer(members, tensors | prefixed(weights[-1], "output."), chain.outputs)


def _folded_norms(norms: Sequence[Group], behind: dict[str, Tensor]) -> Group | None:
    """Take the batch norms after the pooling into the layer that reads them, and return the layer norm before them."""
    layer_norm = norms[0] if norms and norms[0].kind == "layer_norm" else None
    batch_norms = norms if layer_norm is None else norms[1:]
    names = ", ".join(norm.name for norm in norms)
    require(
        all(norm.kind == "norm" for norm in batch_norms),
        f"of norms one after the other after the pooling ({names}) only the first may be a layer norm",
    )
    for norm in reversed(batch_norms):
        behind.update(taken_in(norm.tensors, behind))
    return layer_norm


def _pooled_norm(norm: Group, pooling: str, chain: Chain) -> dict[str, Tensor]:
    """A layer norm over what a pooling makes, which may have the halves in another order than ours."""
    require(
        pooling not in ("last_forward", "last_backward", "last_sum"),
        f"a layer norm after pooling {pooling} is not supported: it is over half of the states",
    )
    tensors = {"weight": norm.weight, "bias": norm.tensors.get("bias", torch.zeros_like(norm.weight))}
    if pooling != "last_backward_first":
        return tensors
    return {name: tensor.roll(chain.width // 2) for name, tensor in tensors.items()}


def _follows_function(layer: HeadLayer, values: OptionValues) -> bool:
    """Whether the norm reads the layer's function: it is a part of the next layer then."""
    is_after = values.given.get("head_norm", "before") == "after" and not is_next(layer)
    return layer.norm is not None and layer.norm_at == "after" and is_after


def _layer(layer: HeadLayer, values: OptionValues) -> Layer:
    return Layer.model_validate(
        {
            "size": layer.linear.outputs,
            "batch_norm": layer.norm_at if layer.norm is not None and not _follows_function(layer, values) else False,
            "activation": values.given.get("activation", "none"),
            "slope": slope_of(values),
        }
    )


def _read_by(
    pooling: str, weight: Tensor, chain: Chain, values: OptionValues
) -> tuple[Tensor, tuple[str, ...], int | None]:
    """The weight of the first layer over halves as ours are, forward first; our poolings; and the window."""
    half = chain.width // 2
    if pooling == "last_backward_first":
        return torch.cat((weight[:, half:], weight[:, :half]), 1), ("last",), None
    if pooling == "last_forward":
        return torch.cat((weight, torch.zeros_like(weight)), 1), ("last",), None
    if pooling == "last_backward":
        return torch.cat((torch.zeros_like(weight), weight), 1), ("last",), None
    if pooling == "last_sum":
        return torch.cat((weight, weight), 1), ("last",), None
    if pooling == "flatten":
        return weight, ("flatten",), weight.shape[1] // chain.width
    names = ("attention",) if pooling == DOT else tuple(pooling.split("+"))
    if "last" in names and norms_of(chain, values)[0]:  # the last state is without them
        require(
            chain.directions == 1,
            "a norm over the outputs of a bidirectional recurrence has no part in pooling last: use another one, or "
            "--set norm_at=pooled if it reads the last state",
        )
        names = tuple("last_output" if name == "last" else name for name in names)
    return weight, names, None


def _attention(chain: Chain, values: OptionValues) -> tuple[AttentionPooling, dict[str, Tensor]]:
    function = values.text("attention_activation")
    *keys, score = chain.attention
    tensors = prefixed(linear(score.tensors, ""), "score.")
    if not keys:
        config = {"kind": "linear", "activation": function, "slope": slope_of(values)}
        return AttentionPooling.model_validate(config), tensors
    key = keys[0]
    config = {"kind": "additive", "size": key.outputs, "activation": function, "slope": slope_of(values)}
    return AttentionPooling.model_validate(config), tensors | prefixed(linear(key.tensors, ""), "key.")
