"""The facts about an encoder-decoder that its tensors do not show, as options of a general layout."""

from collections.abc import Sequence

from app.importers.options import Option
from app.importers.pairs import Pair

NO_ATTENTION = "none"
_BOTH_FIT = "both orders have the same shape; look at torch.cat in forward()"
_WRONG = "the other one gives other answers, and no error"


def bridges_of(pair: Pair) -> list[str]:
    """How the decoder may start, the usual one first."""
    recurrent = pair.decoder.recurrence
    if pair.bridge:
        return ["linear", "tanh"] if pair.encoder is None or len(pair.bridge) == 2 else ["tanh", "linear"]
    if pair.encoder is None:
        return ["zeros"]
    source = pair.encoder.recurrence
    if source.cell != recurrent.cell:
        return ["zeros"]
    found = []
    if source.layers == recurrent.layers:
        if source.directions == 1 and source.hidden_size == recurrent.hidden_size:
            found.append("copy")
        if source.directions == 2 and source.output_size == recurrent.hidden_size:
            found.append("join")
    if source.directions == 2 and source.hidden_size == recurrent.hidden_size:
        if recurrent.layers <= source.layers * 2:
            found.append("first")
        if source.layers == recurrent.layers:
            found += ["sum", "mean", "backward"]
    return [*found, "zeros"]


def contexts_of(pair: Pair) -> list[str]:
    """What the context is where no layers belong to an attention, the usual one first."""
    if pair.attention is not None or not pair.has_context:
        return []
    dot = ["dot"] if pair.memory == pair.hidden_size else []
    fixed = ["fixed"]
    return fixed + dot if "context" in pair.gets else dot + fixed


def readouts_of(pair: Pair) -> list[str]:
    """The inputs of the first layer after the recurrence, in the orders that fit."""
    return ["_".join(parts) for parts in pair.reads]


def pair_options(pair: Pair) -> list[Option]:
    return [*_attention_options(pair), *_order_options(pair), *_layer_options(pair), *_bridge_options(pair)]


def _attention_options(pair: Pair) -> list[Option]:
    attention, options = pair.attention, []
    contexts = contexts_of(pair)
    if len(contexts) > 1 or (
        contexts and any("context" not in parts for parts in pair.reads) and "context" not in pair.gets
    ):
        options.append(
            Option(
                "attention",
                "dot: hidden state times memory; fixed: the encoder's summary in each step"
                + ("" if pair.gets == ["context"] else "; none"),
                contexts[0],
                (*contexts, *(() if pair.gets == ["context"] else (NO_ATTENTION,))),
                depends=_WRONG,
                readings=contexts,
            )
        )
    if attention is None:
        return options
    if attention.form == "general" and not attention.is_told:
        options.append(
            Option(
                "attention_layer",
                f"what {attention.layers[0].name} reads: the memory, or the hidden state",
                "memory",
                ("memory", "hidden"),
                depends=_WRONG,
                readings=("memory", "hidden"),
            )
        )
    if attention.form in ("concat", "energy"):
        name = attention.layers[0].name
        options.append(_order("attention_order", f"the inputs of {name}", ("hidden_memory", "memory_hidden")))
    if attention.form in ("separate", "projected") and not attention.is_told:
        options.append(
            Option(
                "attention_layer",
                f"what {attention.layers[0].name} reads: the hidden state (and {attention.layers[1].name} the memory), "
                "or the memory",
                "hidden",
                ("hidden", "memory"),
                depends=_WRONG,
                readings=("hidden", "memory"),
            )
        )
    if attention.form in ("concat", "energy", "separate"):
        usual = "relu" if attention.form == "energy" or attention.gate is not None else "tanh"
        options.append(
            Option(
                "attention_activation",
                "the function inside the attention",
                usual,
                ("tanh", "relu"),
                assumed=attention.form != "energy",
            )
        )
    return options


def _order(name: str, what: str, choices: Sequence[str], meaning: str = "") -> Option:
    return Option(
        name, f"the order of {what}{meaning}", choices[0], choices, depends=_BOTH_FIT, readings=tuple(choices)[:4]
    )


def _order_options(pair: Pair) -> list[Option]:
    options = []
    if len(pair.gets) > 1:
        options.append(
            Option(
                "input",
                f"what the decoder reads beside a word: {pair.readout.name if pair.readout else 'a layer'} of the step "
                "before (fed), or the context",
                pair.gets[0],
                pair.gets,
                depends=_WRONG,
                readings=pair.gets,
            )
        )
    if pair.gets[0] != "nothing":
        other = "context" if "context" in pair.gets else "fed"
        where = pair.combine.name if pair.combine is not None else "the decoder's recurrence"
        options.append(_order("input_order", f"the inputs of {where}", (f"embedding_{other}", f"{other}_embedding")))
    if len(readouts := readouts_of(pair)) > 1:
        layer = pair.readout or pair.output
        options.append(_order("readout", f"the inputs of {layer.name if layer else 'the output layer'}", readouts))
    return options


def _layer_options(pair: Pair) -> list[Option]:
    options = []
    if pair.combine is not None:
        options.append(
            Option(
                "combine_activation",
                f"the function after {pair.combine.name}",
                "relu",
                ("relu", "none"),
                depends=_WRONG,
            )
        )
    if pair.readout is not None:
        options.append(
            Option(
                "readout_activation",
                f"the function after {pair.readout.name}",
                "tanh",
                ("tanh", "none"),
                depends=_WRONG,
            )
        )
    if pair.is_summed:
        options.append(
            Option("outputs", "how the outputs of both directions of the encoder were joined", "sum", ("sum", "mean"))
        )
    if any(reader is not None and reader.recurrence.cell == "rnn_tanh" for reader in (pair.encoder, pair.decoder)):
        options.append(Option("nonlinearity", "nonlinearity of nn.RNN", "tanh", ("tanh", "relu")))
    options.append(
        Option(
            "embedding_activation",
            "the function after the decoder's embedding",
            "none",
            ("none", "relu"),
            assumed=True,
        )
    )
    return options


_BRIDGES = (
    "how the decoder starts. copy: from the encoder's last states; join: both directions side by side; first: hidden"
    "[:layers]; sum, mean, backward: of both directions"
)


def _bridge_options(pair: Pair) -> list[Option]:
    found = bridges_of(pair)
    if pair.bridge:
        names = ", ".join(group.name for group in pair.bridge)
        options = [
            Option("bridge", f"the function after {names}, which starts the decoder", found[0], found, depends=_WRONG)
        ]
    else:
        asked = [choice for choice in found if choice != "zeros"]
        options = [Option("bridge", _BRIDGES, found[0], found, depends=_WRONG, assumed=len(asked) < 2)]
    if len(pair.bridge) == 1 and pair.decoder.recurrence.cell == "lstm":
        options.append(
            Option(
                "bridge_cell",
                f"the first cell state: {pair.bridge[0].name} on the encoder's (same), or zeros",
                "same",
                ("same", "zeros"),
                depends=_WRONG,
                readings=("same", "zeros"),
            )
        )
    if pair.encoder is not None and pair.encoder.recurrence.directions == 2 and (pair.bridge or "join" in found):
        options.append(
            Option(
                "bridge_order",
                "which direction of the encoder's last states is first",
                "forward_backward",
                ("forward_backward", "backward_forward"),
                assumed=True,
            )
        )
    return options
