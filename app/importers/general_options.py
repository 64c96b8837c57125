"""The facts about a chain that its tensors do not show, as options of the general layouts."""

from collections.abc import Sequence
from itertools import permutations

from app.importers.chain import LARGEST_CAT, Chain, HeadLayer
from app.importers.options import Option, OptionValues

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
_ACTIVATION = Option(
    "activation", "the function between the layers of the head", "relu", FUNCTIONS, readings=FUNCTIONS[:3]
)
_SLOPE = Option(
    "slope",
    "the slope of leaky_relu below zero",
    "0.01",
    kind="real",
    least=0,
    most=10,
    assumed=True,
    only_beside="leaky_relu",
)
_NONLINEARITY = Option("nonlinearity", "nonlinearity of nn.RNN", "tanh", ("tanh", "relu"))
_NORM_AT = Option(
    "norm_at",
    "where the norm after the recurrence is: pooled, between the pooling and the head; outputs, on every output before "
    "the pooling",
    "pooled",
    ("pooled", "outputs"),
    depends="both fit the file, and give other answers: look at forward()",
    readings=("pooled", "outputs"),
)
_ATTENDED = Option(
    "attended",
    "the function on the mean that the attention weights, before the head",
    "none",
    FUNCTIONS,
    readings=FUNCTIONS[:3],
)
_FRONT_ACTIVATION = Option("front_activation", "the function after the layers before the recurrence", "relu", FUNCTIONS)
_CONVOLUTIONS = (
    Option("conv_activation", "the function after each convolution", "relu", FUNCTIONS),
    Option("conv_padding", "padding of the convolutions: same, valid, causal or a number", "same"),
    Option("conv_pool", "steps that max pooling after each convolution joins; 1 for none", "1", kind="whole", most=64),
    Option("conv_stride", "stride of the convolutions", "1", kind="whole", most=64, assumed=True),
    Option("conv_dilation", "dilation of the convolutions", "1", kind="whole", most=64, assumed=True),
)
_DOT = "; attention_dot: the outputs weighted by softmax(outputs @ last state)"
_STATES = "; last+last_cell: hidden and cell state, cat(h[-1], c[-1])"
_HALVES = "; last: cat(h[-2], h[-1]), last_backward_first: cat(h[-1], h[-2]), last_output: output[:, -1]"


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
    cells = {chain.structure.recurrence(group).cell for group in chain.recurrences}
    options = [
        *_poolings(chain),
        *[_ACTIVATION] * (len(chain.head) > 1),
        *[_NONLINEARITY] * ("rnn_tanh" in cells),
        *_attention(chain),
        *[_NORM_AT] * (bool(chain.back) and chain.pooled == chain.width),
        *_head_norm(chain),
        *[_ATTENDED] * chain.is_bare,
        *_front(chain),
    ]
    return [*options, *[_SLOPE] * any("leaky_relu" in option.choices for option in options)]


def slope_of(values: OptionValues) -> float:
    """The slope of every leaky_relu of a network."""
    return values.real("slope") if "slope" in values.given else 0.01


def _poolings(chain: Chain) -> list[Option]:
    poolings = poolings_of(chain)
    if len(poolings) == 1:
        return []
    meaning = "what the head reads of the recurrence's outputs"
    meaning += _HALVES if chain.directions == 2 and "last_backward_first" in poolings else ""
    meaning += _STATES if "last+last_cell" in poolings else ""
    meaning += _DOT if DOT in poolings else ""
    depends = "each gives other answers, and no error: look at what forward() does after the recurrence"
    return [Option("pooling", meaning, poolings[0], poolings, depends=depends, readings=poolings[:4])]


def _attention(chain: Chain) -> list[Option]:
    if not chain.attention:
        return []
    where, usual = (
        ("inside the attention", "tanh") if len(chain.attention) > 1 else ("on the attention's score", "none")
    )
    return [Option("attention_activation", f"the function {where}", usual, FUNCTIONS)]


def _head_norm(chain: Chain) -> list[Option]:
    if not any(layer.norm is not None and layer.norm_at == "after" and not is_next(layer) for layer in chain.head):
        return []
    meaning = "where the norm behind a layer of the head is: before or after the layer's function"
    places = ("before", "after")
    return [Option("head_norm", meaning, _usual_order(chain.head), places, readings=places)]


def _front(chain: Chain) -> list[Option]:
    kinds = {group.kind for group in chain.front}
    options = [_FRONT_ACTIVATION] if kinds & {"linear", "table"} else []
    pairs = [(group, norm) for group, norm in chain.front_layers if norm is not None]
    if pairs:
        may_be_input = all(norm.outputs == group.inputs for group, norm in pairs)
        places = ("before", "after", *["input"] * may_be_input)
        meaning = "where the norm behind a layer before the recurrence is: before or after the layer's function"
        meaning += "; input: before the layer" if may_be_input else ""
        options.append(Option("front_norm", meaning, "before", places, readings=places))
    return [*options, *(_CONVOLUTIONS if "convolution" in kinds else ())]


def is_next(layer: HeadLayer) -> bool:
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
