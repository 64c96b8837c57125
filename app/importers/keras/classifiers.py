"""Classifiers and taggers of Keras."""

from collections.abc import Mapping

from torch import Tensor

from app.importers.keras.encoders import encoder_of, pooled_network
from app.importers.keras.heads import head_of, output_tensors, over_steps
from app.importers.keras.understood import Understood
from app.importers.keras.values import Linear
from app.importers.layout import require
from app.importers.parts import prefixed, two_labels
from app.store.classifier import Classifier
from app.store.encoders import TextEncoder
from app.store.tagger import Tagger

Tensors = Mapping[str, Tensor]


def classifier(understood: Understood) -> tuple[Classifier, Tensors]:
    """A last layer without a function is taken for logits."""
    vector = understood.vector
    network = pooled_network(vector)
    head = head_of(vector.layers, vector.pooled_size)
    function = head.last.function
    single = len(head.last.bias) == 1
    require(
        function.is_softmax or function.activation in ("sigmoid", "none"),
        f"a classifier ends in softmax, sigmoid or logits; this Keras model ends in {function.activation}",
    )
    require(
        not (single and function.is_softmax),
        "the Keras model ends in a softmax over one output, which is always 1: it has nothing to say",
    )
    output = output_tensors(head.last)
    if single:
        output = two_labels(output)
    architecture = Classifier(
        **network.members,
        head=head.layers,
        labels=len(output["output.bias"]),
        outputs="sigmoid" if _are_independent(understood, head.last) and not single else "softmax",
    )
    return architecture, {**network.tensors, **head.tensors, **output}


def _are_independent(understood: Understood, last: Linear) -> bool:
    """Whether each label has a probability of its own."""
    return last.function.activation == "sigmoid" or (last.free and understood.loss.startswith("binary"))


def tagger(understood: Understood) -> tuple[Tagger, Tensors]:
    """A label for each step."""
    steps, linear = over_steps(understood.steps)
    encoder = encoder_of(steps)
    head = head_of(linear, steps.size)
    assert isinstance(encoder.config, TextEncoder)
    require(
        head.last.function.is_softmax or head.last.function.activation == "none",
        f"a tagger ends in softmax or logits; this Keras model ends in {head.last.function.activation}",
    )
    architecture = Tagger(encoder=encoder.config, head=head.layers, labels=len(head.last.bias))
    return architecture, {**prefixed(encoder.tensors, "encoder."), **head.tensors, **output_tensors(head.last)}
