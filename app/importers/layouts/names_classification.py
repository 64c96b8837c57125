"""pytorch.org, "NLP From Scratch: Classifying Names with a Character-Level RNN", in all its versions, and
spro/practical-pytorch: one-hot letters, a recurrence, a label.

- 2017: `i2h` and `i2o` read letter and state side by side, without a function
- 2022: `i2h` does, `h2o` reads the state
- 2023: `i2h`, `h2h` and tanh
- 2024: `nn.RNN` and `h2o`
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.general_answer import Answer
from app.importers.general_chain import one_or_two
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, require
from app.importers.options import Option
from app.importers.parts import consists_of, is_recurrent, linear, prefixed, recurrence, recurrent_weights
from app.importers.text_rules.characters import characters
from app.importers.tokenizer import check_words
from app.importers.vocabularies import Role
from app.store.classifier import Classifier
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence

_WITH_UNDERSCORE = 58  # letters of the version of 2024, whose last one stands for all others


class NamesClassification(Layout):
    """`i2o` has no place of its own: its outputs are units of the state that nothing reads but the answer."""

    name = "names-classification"
    source = "pytorch.org tutorial on classifying names, spro/practical-pytorch char-rnn-classification"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        tensors = checkpoint.single
        if tensors is None:
            return False
        if consists_of(tensors, "rnn.", "h2o."):
            return is_recurrent(tensors, "rnn.")
        return any(consists_of(tensors, "i2h.", *others) for others in (("i2o.",), ("h2o.",), ("h2h.", "h2o.")))

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        tensors = checkpoint.network
        labels = len(tensors["h2o.weight" if "h2o.weight" in tensors else "i2o.weight"])
        doubts = []
        if "rnn.weight_ih_l0" not in tensors and not checkpoint.functions:
            doubts.append("whether the state has a function, such as tanh, is not in the tensors (nonlinearity)")
        return Understanding(
            [f"{_letters(tensors)} one-hot letters, a recurrence letter by letter, {labels} labels"], doubts
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        tensors = checkpoint.network
        functions: tuple[str, ...]
        if "rnn.weight_ih_l0" in tensors:
            functions = ("tanh", "relu")
        else:
            functions = ("tanh", "none", "relu") if "h2h.weight" in tensors else ("none", "tanh", "relu")
            functions = ("none",) if "i2o.weight" in tensors else functions
        said = checkpoint.answers.get("nonlinearity") or next(iter(checkpoint.functions), functions[0])
        last = _letters(tensors) == _WITH_UNDERSCORE
        return [
            Option(
                "nonlinearity",
                "the function of the state",
                said if said in functions else functions[0],
                functions,
                assumed=True,
            ),
            Option(
                "unknown",
                "a character that is no letter of the list: skip, refuse, or last (the list's last one, _)",
                "last" if last else "skip",
                ("skip", "refuse", "last"),
                assumed=True,
            ),
            Option(
                "accents", "remove: é is read as e (unicodeToAscii); keep", "remove", ("remove", "keep"), assumed=True
            ),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        tensors = checkpoint.network
        labels = len(tensors["h2o.weight" if "h2o.weight" in tensors else "i2o.weight"])
        return Needs(self.vocabularies, labels=max(2, labels), rows={"source": _letters(tensors)})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        tensors, values = checkpoint.network, given.values
        letters, words = _letters(tensors), given.words["source"]
        require(
            "i2o.weight" not in tensors or not set(checkpoint.functions) & {"tanh", "relu"},
            f"the file has a module with the function {', '.join(checkpoint.functions)} beside i2h and i2o, and i2o "
            "reads the state before the last letter: with a function in the state, Unroll has no such network. "
            "Train it with an output layer over the new state (h2o), or without the function",
        )
        check_words(words, letters, "letter")
        recurrent, weights, output = _network(tensors, letters, values.text("nonlinearity"))
        answer = one_or_two(Answer({}, prefixed(output, "output."), len(output["weight"])))
        unknown = values.text("unknown")
        return Converted(
            architecture=Classifier(
                encoder=TextEncoder(vocabulary_size=letters, recurrence=recurrent),
                pooling=("last",),
                labels=answer.outputs,
            ),
            tensors={
                "encoder.embedding.weight": torch.eye(letters),
                **prefixed(weights, "encoder.recurrence."),
                **answer.tensors,
            },
            source=characters(
                words,
                unknown=letters - 1 if unknown == "last" else "refuse" if unknown == "refuse" else "skip",
                cleaning=("without_accents",) if values.text("accents") == "remove" else (),
            ),
        )


def _letters(tensors: Tensors) -> int:
    """Columns of the one-hot inputs."""
    if "rnn.weight_ih_l0" in tensors:
        return int(tensors["rnn.weight_ih_l0"].shape[1])
    hidden, columns = tensors["i2h.weight"].shape
    return columns if "h2h.weight" in tensors else columns - hidden


def _network(tensors: Tensors, letters: int, function: str) -> tuple[Recurrence, Tensors, Tensors]:
    """The recurrence, its weights, and the output layer."""
    if "rnn.weight_ih_l0" in tensors:
        made = recurrence(tensors, "rnn.", nonlinearity=function)
        return made, recurrent_weights(tensors, "rnn."), linear(tensors, "h2o.")
    layer = linear(tensors, "i2h.")
    if "h2h.weight" in tensors:
        reads, state = layer["weight"], linear(tensors, "h2h.")
    else:
        reads, hidden = layer["weight"][:, :letters], layer["weight"][:, letters:]
        state = {"weight": hidden, "bias": torch.zeros(len(hidden))}
    weights = {
        "weight_ih_l0": reads,
        "weight_hh_l0": state["weight"],
        "bias_ih_l0": layer["bias"],
        "bias_hh_l0": state["bias"],
    }
    output = linear(tensors, "h2o.") if "h2o.weight" in tensors else None
    if output is None:
        weights, output = _with_outputs(weights, linear(tensors, "i2o."), letters)
    cell = "rnn_relu" if function == "relu" else "rnn_tanh"
    return (
        Recurrence.model_validate(
            {
                "cell": cell,
                "activation": "none" if function == "none" else "tanh",
                "input_size": letters,
                "hidden_size": len(weights["weight_hh_l0"]),
            }
        ),
        {key: tensor.contiguous() for key, tensor in weights.items()},
        output,
    )


def _with_outputs(weights: Tensors, outputs: Tensors, letters: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The units of a layer over letter and state before as further units of the state, which the state does not read.
    The output layer is the identity on them. Exact without a function in the recurrence."""
    hidden, count = len(weights["weight_hh_l0"]), len(outputs["weight"])
    reads = torch.cat((weights["weight_hh_l0"], outputs["weight"][:, letters:]))
    whole = {
        "weight_ih_l0": torch.cat((weights["weight_ih_l0"], outputs["weight"][:, :letters])),
        "weight_hh_l0": torch.cat((reads, torch.zeros(hidden + count, count)), 1),
        "bias_ih_l0": torch.cat((weights["bias_ih_l0"], outputs["bias"])),
        "bias_hh_l0": torch.cat((weights["bias_hh_l0"], torch.zeros(count))),
    }
    identity = torch.cat((torch.zeros(count, hidden), torch.eye(count)), 1)
    return whole, {"weight": identity, "bias": torch.zeros(count)}
