"""Attention over time that is built from small layers: scores of the steps, a softmax over them, a product with the
steps, a sum. Usual in Keras models that label texts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from app.importers.keras.graph import Layer
from app.importers.keras.inputs import steps_of
from app.importers.keras.values import Piece, Pooled, Steps, Value, Vector, Weights
from app.store.pooled import AttentionPooling
from app.store.stages import LinearStage


def weights_of(layer: Layer, steps: Steps) -> Weights:
    """A softmax over the steps. Raises ImportFailed unless they are scores."""
    if steps.size != 1:
        raise layer.refuse("a softmax over time needs one score for each step")
    if steps.is_masked:
        raise layer.refuse("attention of this kind over masked steps is not supported")
    return Weights(steps)


def weighted_average(layer: Layer, value: Value) -> Vector:
    """AttentionWeightedAverage of textgenrnn and DeepMoji: the mean of the steps, weighted by a softmax over their
    products with a vector."""
    steps = steps_of(layer, value).by_mask(layer)
    if layer.config.get("return_attention"):
        raise layer.refuse("return_attention is not supported: a model here has one output")
    if not layer.arrays or tuple(layer.arrays[0].shape) != (steps.size, 1):
        raise layer.refuse(f"its weights must have shape {(steps.size, 1)}")
    settings = AttentionPooling(kind="linear", activation="none")
    score = {"score.weight": layer.arrays[0].float().T.contiguous(), "score.bias": torch.zeros(1)}
    return Vector((Pooled(steps, "attention", (settings, score)),), steps.size)


def weights_of_vector(vector: Vector) -> Weights | None:
    """The weights in a vector: flat scores and a softmax over them."""
    if [part.pooling for part in vector.parts] != ["flatten"] or vector.norm or len(vector.layers) != 1:
        return None
    (layer,) = vector.layers
    plain = torch.equal(layer.weight, torch.eye(vector.size)) and not layer.bias.any()
    steps = vector.parts[0].steps
    return Weights(steps) if layer.function.is_softmax and plain and steps.size == 1 else None


def pooled_by(layer: Layer, steps: Steps, weights: Weights) -> Vector:
    """The sum of the weighted steps. Raises ImportFailed if the weights are those of other steps."""
    scored = weights.scored
    own = len(steps.pieces)
    same = steps.origin == scored.origin and len(scored.pieces) > own
    if not same or any(a is not b for a, b in zip(steps.pieces, scored.pieces, strict=False)):
        raise layer.refuse("its weights must be made of the steps that they weigh")
    settings, tensors = _scoring(layer, scored.pieces[own:])
    return Vector((Pooled(steps, "attention", (settings, tensors)),), steps.size)


def _scoring(layer: Layer, pieces: Sequence[Piece]) -> tuple[AttentionPooling, Mapping[str, Tensor]]:
    stages = [piece.stage for piece in pieces if isinstance(piece.stage, LinearStage)]
    if len(stages) != len(pieces) or len(pieces) > 2 or (len(pieces) == 2 and stages[1].activation != "none"):
        raise layer.refuse("scores are supported by one Dense layer, or by two of which the second has no function")
    score = {f"score.{name}": tensor for name, tensor in pieces[-1].tensors.items()}
    if len(pieces) == 1:
        return AttentionPooling(kind="linear", activation=stages[0].activation, slope=stages[0].slope), score
    first = stages[0]
    key = {f"key.{name}": tensor for name, tensor in pieces[0].tensors.items()}
    settings = AttentionPooling(kind="additive", size=first.size, activation=first.activation, slope=first.slope)
    return settings, {**key, **score}
