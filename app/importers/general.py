"""A chain of foreign parts as an encoder, a pooling and a head of ours. The general layouts add source and answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from app.importers.chain import LARGEST_CAT, Chain, HeadLayer
from app.importers.doubts import doubts_of
from app.importers.layout import Understanding, require
from app.importers.options import Option, OptionValues
from app.importers.parts import linear, prefixed, recurrent_weights
from app.importers.structure import Group
from app.store.layer import Layer
from app.store.pooled import AttentionPooling
from app.store.recurrence import Recurrence
from app.store.stages import Affine, LayerNorm, LinearStage, RecurrenceStage, Stage
from app.store.windowed_stages import Convolution, Pool

FUNCTIONS = ("none", "relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "selu")
DOT = "attention_dot"  # has no weights
_SINGLE = ("last", "mean", "max", "sum")
OUTPUTS = Option(
    "outputs",
    "softmax: one of the labels; sigmoid: each label by itself, several may hold (BCEWithLogitsLoss)",
    "softmax",
    ("softmax", "sigmoid"),
    depends="the loss of the training tells; the probabilities differ",
    readings=("softmax", "sigmoid"),
)


@dataclass
class Parts:
    """Parts of an encoder, and tensors by our names."""

    front: list[Stage] = field(default_factory=list)
    back: list[Stage] = field(default_factory=list)
    recurrence: Recurrence | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)


def poolings_of(chain: Chain) -> list[str]:
    """The poolings whose width is that of the head's input, the usual one first."""
    width, read, directions = chain.width, chain.pooled, chain.directions
    attention = ["attention"] if chain.attention else []
    has_cell = chain.structure.recurrence(chain.recurrences[-1]).cell == "lstm"
    if read == width:
        both = ["last", "last_backward_first", "last_output", "mean", "max", "sum"]
        others = ["last_cell"] * has_cell + [DOT] * (not attention)
        return attention + (both if directions == 2 else list(_SINGLE)) + others
    if read * 2 == width and directions == 2:
        return [*attention, "last_backward", "last_forward", "last_sum"]
    times = read // width
    if times <= LARGEST_CAT:
        names = ("mean", "max", "last", *attention) if times == 2 else ("last", "max", "mean", *attention)
        usual, *others = ("+".join(names) for names in permutations(names, times))
        states = ["last+last_cell", "last_cell+last"] if has_cell and times == 2 else []
        return [usual, *states, *others, "flatten"]
    return ["flatten"]


def options_of(chain: Chain) -> list[Option]:
    """The facts about its parts that tensors do not show."""
    options = []
    poolings = poolings_of(chain)
    if len(poolings) > 1:
        options.append(
            Option(
                "pooling",
                "what the head reads of the recurrence's outputs"
                + (_HALVES if chain.directions == 2 and "last_backward_first" in poolings else "")
                + (_STATES if "last+last_cell" in poolings else "")
                + (_DOT if DOT in poolings else ""),
                poolings[0],
                poolings,
                depends="each gives other answers, and no error: look at what forward() does after the recurrence",
                readings=poolings[:4],
            )
        )
    if len(chain.head) > 1:
        options.append(
            Option(
                "activation", "the function between the layers of the head", "relu", FUNCTIONS, readings=FUNCTIONS[:3]
            )
        )
    if any(chain.structure.recurrence(group).cell == "rnn_tanh" for group in chain.recurrences):
        options.append(Option("nonlinearity", "nonlinearity of nn.RNN", "tanh", ("tanh", "relu")))
    if chain.attention and len(chain.attention) == 2:
        options.append(Option("attention_activation", "the function inside the attention", "tanh", FUNCTIONS))
    if chain.attention and len(chain.attention) == 1:
        options.append(Option("attention_activation", "the function on the attention's score", "none", FUNCTIONS))
    if chain.back and chain.pooled == chain.width:
        options.append(
            Option(
                "norm_at",
                "where the norm after the recurrence is: pooled, between the pooling and the head; outputs, on every "
                "output before the pooling",
                "pooled",
                ("pooled", "outputs"),
                depends="both fit the file, and give other answers: look at forward()",
                readings=("pooled", "outputs"),
            )
        )
    if any(layer.norm is not None and layer.norm_at == "after" and not _is_next(layer) for layer in chain.head):
        options.append(
            Option(
                "head_norm",
                "where the norm behind a layer of the head is: before or after the layer's function",
                _usual_order(chain.head),
                ("before", "after"),
                readings=("before", "after"),
            )
        )
    if chain.is_bare:
        options.append(
            Option(
                "attended",
                "the function on the mean that the attention weights, before the head",
                "none",
                FUNCTIONS,
                readings=FUNCTIONS[:3],
            )
        )
    if any(group.kind in ("linear", "table") for group in chain.front):
        options.append(
            Option("front_activation", "the function after the layers before the recurrence", "relu", FUNCTIONS)
        )
    pairs = [(group, norm) for group, norm in chain.front_layers if norm is not None]
    if pairs:
        may_be_input = all(norm.outputs == group.inputs for group, norm in pairs)
        options.append(
            Option(
                "front_norm",
                "where the norm behind a layer before the recurrence is: before or after the layer's function"
                + ("; input: before the layer" if may_be_input else ""),
                "before",
                ("before", "after", *["input"] * may_be_input),
                readings=("before", "after", *["input"] * may_be_input),
            )
        )
    if any(group.kind == "convolution" for group in chain.front):
        options += [
            Option("conv_activation", "the function after each convolution", "relu", FUNCTIONS),
            Option("conv_padding", "padding of the convolutions: same, valid, causal or a number", "same"),
            Option(
                "conv_pool",
                "steps that max pooling after each convolution joins; 1 for none",
                "1",
                kind="whole",
                most=64,
            ),
            Option("conv_stride", "stride of the convolutions", "1", kind="whole", most=64, assumed=True),
            Option("conv_dilation", "dilation of the convolutions", "1", kind="whole", most=64, assumed=True),
        ]
    return options


_DOT = "; attention_dot: the outputs weighted by softmax(outputs @ last state)"
_STATES = "; last+last_cell: hidden and cell state, cat(h[-1], c[-1])"
_HALVES = "; last: cat(h[-2], h[-1]), last_backward_first: cat(h[-1], h[-2]), last_output: output[:, -1]"


def understanding_of(chain: Chain, answer: str) -> Understanding:
    """The chain in words, from the source on; `answer` is what it answers with."""
    facts = []
    if chain.table is not None:
        facts.append(f"embedding {chain.table.name}: {chain.table.outputs:,} x {chain.table.inputs}")
    if chain.front:
        facts.append("before the recurrence: " + ", ".join(group.describe() for group in chain.front))
    for group in chain.recurrences:
        recurrent = chain.structure.recurrence(group)
        facts.append(f"recurrence {group.name}: {recurrent.describe()}, {recurrent.input_size} numbers a step")
    if chain.attention:
        facts.append("attention over the outputs: " + ", ".join(group.name for group in chain.attention))
    sizes = " -> ".join([str(chain.pooled), *(str(layer.linear.outputs) for layer in chain.head)])
    names = ", ".join(layer.linear.name for layer in chain.head)
    facts.append(f"head {names}: {sizes}, {answer}")
    unsure = []
    if chain.directions == 2 and chain.pooled == chain.width and not chain.attention:
        unsure.append("which of the two directions the head reads first is not in the file (pooling)")
    elif len(poolings_of(chain)) > 1:
        unsure.append(f"whether the head reads the last output or another pooling of {chain.pooled} numbers (pooling)")
    if chain.back:
        facts.append("norm after the recurrence: " + ", ".join(group.name for group in chain.back))
        if chain.pooled == chain.width:
            unsure.append("whether this norm is before or after the pooling is not in the file (norm_at)")
    if norms := [layer.norm.name for layer in chain.head if layer.norm is not None]:
        facts.append("norms in the head: " + ", ".join(norms))
    if len(chain.head) > 1:
        unsure.append("the function between the layers of the head is not in the file (activation)")
    return Understanding(facts, [*unsure, *doubts_of(chain)])


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
    for norm in _norms(chain, values)[0]:
        _add_norm(parts.back, "back", parts, norm)
    return parts


def _norms(chain: Chain, values: OptionValues) -> tuple[Sequence[Group], Sequence[Group]]:
    """The norms after the recurrence: over its outputs, and over what the pooling makes of them."""
    if chain.pooled != chain.width:  # the sizes tell
        return [g for g in chain.back if g.outputs == chain.width], [g for g in chain.back if g.outputs != chain.width]
    return (chain.back, ()) if values.given.get("norm_at", "outputs") == "outputs" else ((), chain.back)


def _is_next(layer: HeadLayer) -> bool:
    """Whether the indices of an nn.Sequential say that the norm follows the layer, without a function between them."""
    return _steps_between(layer) == 1


def _usual_order(head: Sequence[HeadLayer]) -> str:
    return "after" if any((_steps_between(layer) or 0) > 1 for layer in head) else "before"


def _steps_between(layer: HeadLayer) -> int | None:
    """How many places of an nn.Sequential the norm is behind its layer; None if they are not in one."""
    if layer.norm is None:
        return None
    (parent, place), (other, after) = (
        (name.rpartition(".")[0], name.rpartition(".")[2]) for name in (layer.linear.name, layer.norm.name)
    )
    return int(after) - int(place) if parent == other and place.isdecimal() and after.isdecimal() else None


def _folded(norm: Group, behind: dict[str, Tensor]) -> None:
    """Take batch normalisation into the layer that reads it."""
    scale, shift = (part.double() for part in affine(norm))
    weight = behind["weight"].double()
    behind["bias"] = (behind["bias"].double() + weight @ shift).float()
    behind["weight"] = (weight * scale).float()


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
    settings: dict[str, Any] = {"activation": "none" if norm_first else function}
    if is_convolution:
        width, _, kernel = group.weight.shape
        padding = values.text("conv_padding")
        settings |= {"width": width, "kernel": kernel, "padding": int(padding) if padding.isdecimal() else padding}
        settings |= {"stride": values.number("conv_stride"), "dilation": values.number("conv_dilation")}
        _add(parts.front, "front", parts, Convolution.model_validate(settings), _with_bias(group))
    else:
        stage = LinearStage.model_validate({"size": group.outputs, **settings})
        _add(parts.front, "front", parts, stage, _with_bias(group))
    if norm is not None:
        _add_norm(parts.front, "front", parts, norm, function if norm_first else "none")
    if is_convolution and (size := values.number("conv_pool")) > 1:
        _add(parts.front, "front", parts, Pool(size=size, stride=size), {})


def _add_norm(stages: list[Stage], place: str, parts: Parts, group: Group, function: str = "none") -> None:
    if group.kind == "layer_norm":
        weight = group.weight
        _add(stages, place, parts, LayerNorm(), {"weight": weight, "bias": group.tensors.get("bias", weight * 0)})
        if function != "none":
            unchanged = {"scale": torch.ones_like(weight), "shift": torch.zeros_like(weight)}
            _add(stages, place, parts, Affine.model_validate({"activation": function}), unchanged)
        return
    scale, shift = affine(group)
    _add(stages, place, parts, Affine.model_validate({"activation": function}), {"scale": scale, "shift": shift})


def _add(stages: list[Stage], place: str, parts: Parts, stage: Stage, tensors: Mapping[str, Tensor]) -> None:
    parts.tensors |= prefixed(tensors, f"encoder.{place}.{len(stages)}.")
    stages.append(stage)


def affine(norm: Group, epsilon: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Scale and shift of batch normalisation as it is after training."""
    mean, variance = norm.tensors["running_mean"].double(), norm.tensors["running_var"].double()
    scale = norm.weight.double() / torch.sqrt(variance + epsilon)
    bias = norm.tensors.get("bias", torch.zeros_like(norm.weight)).double()
    return scale.float(), (bias - mean * scale).float()


def _with_bias(group: Group) -> dict[str, Tensor]:
    return linear(group.tensors, "")


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
            _folded(layer.norm, weights[number + 1])
            norms[number] = None
    attended = values.given.get("attended", "none")
    layer_norm = _folded_norms(_norms(chain, values)[1], weights[0])
    weights[0]["weight"], poolings, window = _read_by(chosen, weights[0]["weight"], chain, values)
    if attended != "none":
        require(
            chosen == "attention", "--set attended= is the function on what pooling attention makes, and on it alone"
        )
        identity = torch.eye(chain.pooled, dtype=weights[0]["weight"].dtype)
        layers.insert(0, Layer.model_validate({"size": chain.pooled, "activation": attended}))
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
            not _norms(chain, values)[0], "pooling attention_dot reads outputs without a norm: --set norm_at=pooled"
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
    has_layer_norm = bool(norms) and norms[0].kind == "layer_norm"
    batch_norms = norms[1:] if has_layer_norm else norms
    names = ", ".join(norm.name for norm in norms)
    require(
        all(norm.kind == "norm" for norm in batch_norms),
        f"of norms one after the other after the pooling ({names}) only the first may be a layer norm",
    )
    for norm in reversed(batch_norms):
        _folded(norm, behind)
    return norms[0] if has_layer_norm else None


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
    is_after = values.given.get("head_norm", "before") == "after" and not _is_next(layer)
    return layer.norm is not None and layer.norm_at == "after" and is_after


def _layer(layer: HeadLayer, values: OptionValues) -> Layer:
    return Layer.model_validate(
        {
            "size": layer.linear.outputs,
            "batch_norm": layer.norm_at if layer.norm is not None and not _follows_function(layer, values) else False,
            "activation": values.given.get("activation", "none"),
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
    if "last" in names and _norms(chain, values)[0]:  # the last state is without them
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
    tensors = prefixed(_with_bias(score), "score.")
    if not keys:
        return AttentionPooling.model_validate({"kind": "linear", "activation": function}), tensors
    key = keys[0]
    config = {"kind": "additive", "size": key.outputs, "activation": function}
    return AttentionPooling.model_validate(config), tensors | prefixed(_with_bias(key), "key.")


def setting_of(settings: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these settings that a checkpoint has, as text."""
    for name in names:
        for path, value in settings.items():
            last = path.rpartition(".")[2].lower()
            if last == name and isinstance(value, int | float | str) and not isinstance(value, bool):
                return str(value)
    return None
