"""What a Keras model is: its graph walked, and the kind of network that its output shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.inputs import as_state
from app.importers.keras.unfolding import graph_of
from app.importers.keras.values import Beside, Repeat, Source, State, Steps, Value, Vector
from app.importers.keras.walk import Walk
from app.importers.keras_model import KerasModel

Kind = Literal[
    "classifier",
    "tagger",
    "language_model",
    "window_language_model",
    "forecaster",
    "encoder_decoder",
]
_REGRESSIONS = ("mean_", "mse", "mae", "huber", "log_cosh", "logcosh", "poisson", "cosine")
_MOST_LABELS = 50  # above, outputs that are one fewer than the ids are words
_FEW_FEATURES = 12  # below, a series classifier may have as many labels as features by chance


@dataclass(frozen=True)
class Understood:
    """A model of Keras and what its graph makes."""

    model: KerasModel
    output: Value

    @property
    def root(self) -> Steps:
        """The steps that the network reads first."""
        return _root(self.output)

    @property
    def vector(self) -> Vector:
        """The output of a network that pools."""
        assert isinstance(self.output, Vector)
        return self.output

    @property
    def steps(self) -> Steps:
        """The output of a network that answers in each step."""
        assert isinstance(self.output, Steps)
        return self.output

    @property
    def source(self) -> Source:
        """The input of a network that reads a text."""
        origin = self.root.origin
        assert isinstance(origin, Source)
        return origin

    @property
    def embedding(self) -> Tensor | None:
        """The embedding of the source."""
        return self.root.embedding

    @property
    def reads_text(self) -> bool:
        return self.embedding is not None

    @property
    def loss(self) -> str:
        """The name of the loss that it was trained with, or nothing."""
        loss = (self.model.compile or {}).get("loss")
        while isinstance(loss, list) and len(loss) == 1:
            loss = loss[0]
        if isinstance(loss, Mapping):
            loss = loss.get("config", {}).get("name") or loss.get("class_name") if "config" in loss else None
        return loss.lower() if isinstance(loss, str) else ""

    @property
    def is_entropy(self) -> bool:
        return "entropy" in self.loss or self.loss == "kld"

    @property
    def outputs(self) -> int:
        """Numbers of its output, in a step where it has steps."""
        return self.output.size if isinstance(self.output, Vector | Steps) else 0

    @property
    def is_softmax(self) -> bool:
        output = self.output
        if isinstance(output, Steps):
            return output.is_softmax
        return isinstance(output, Vector) and bool(output.layers) and output.layers[-1].function.is_softmax

    @property
    def is_character_wise(self) -> bool:
        """Whether it reads one-hot rows and answers with one: then the rows are characters or words."""
        root = self.root
        if root.embedding is not None or not isinstance(root.origin, Source) or len(root.origin.shape) != 2:
            return False
        return root.first_size == self.outputs and self.outputs > _FEW_FEATURES and (self.is_softmax or self.is_entropy)

    @cached_property
    def kind(self) -> Kind:
        """The kind of network that answers as this model. Raises ImportFailed if there is none."""
        output = self.output
        if isinstance(output, Steps):
            if output.started_by or isinstance(output.origin, Beside):
                return "encoder_decoder"
            if isinstance(output.origin, Repeat):
                return "encoder_decoder" if self.reads_text else "forecaster"
            if self.writes_what_it_reads and _reads_forward(output):
                return "language_model"
            if self.reads_text:
                return "tagger"
            if self.is_softmax:
                raise ImportFailed(
                    "the Keras model labels each step of a series, for which Unroll has no task: it has labels of "
                    "whole series, and forecasts"
                )
            return "forecaster"
        if self.writes_what_it_reads:
            return "window_language_model"
        if self.reads_text and self._is_regression:
            raise ImportFailed(
                f"the Keras model makes {self.outputs} numbers of a text, trained with the loss {self.loss!r}, for "
                "which Unroll has no task: it has labels of texts"
            )
        return "classifier" if self.reads_text or self.is_classifier else "forecaster"

    @property
    def _is_regression(self) -> bool:
        """Whether its outputs are numbers in themselves, no logits."""
        layers = self.output.layers if isinstance(self.output, Vector) else ()
        return self.loss.startswith(_REGRESSIONS) and bool(layers) and layers[-1].function.activation != "sigmoid"

    @property
    def writes_what_it_reads(self) -> bool:
        """Whether its outputs are as many as the ids that it reads."""
        if self.embedding is not None:
            rows = len(self.embedding)
            return self.outputs == rows > 2 or (self.outputs == rows - 1 and self.outputs > _MOST_LABELS)
        return self.is_character_wise

    @property
    def is_classifier(self) -> bool:
        if self.is_softmax or self.is_entropy:
            return True
        layers = self.output.layers if isinstance(self.output, Vector) else ()
        is_sigmoid = bool(layers) and layers[-1].function.activation == "sigmoid"
        return is_sigmoid and not self.loss.startswith(_REGRESSIONS)


def understand(model: KerasModel) -> Understood:
    """Raises ImportFailed with what is not supported."""
    walk = Walk(graph_of(model), keras_2=model.is_of_keras_2)
    outputs = [value for value in walk.outputs if as_state(value) is None] or walk.outputs[:1]
    if len(walk.outputs) > 1 and all(as_state(value) is not None for value in walk.outputs):
        raise ImportFailed(
            "the Keras model answers with the states of an encoder: it is one half of an encoder-decoder. Add the "
            "model of the decoder, which starts from these states, as another --checkpoint; or give the training model "
            "alone"
        )
    if len(outputs) != 1:
        raise ImportFailed(
            f"the Keras model has {len(walk.outputs)} outputs, and Unroll serves one: save a model with the output "
            "that answers"
        )
    output = outputs[0]
    if isinstance(output, Vector) and output.is_plain and [part.pooling for part in output.parts] == ["flatten"]:
        output = output.parts[0].steps  # a Flatten at the end only lays the steps side by side
    if not isinstance(output, Vector | Steps):
        raise ImportFailed("the Keras model's output is not made of layers")
    return Understood(model, output)


def _root(value: Value) -> Steps:
    if isinstance(value, Vector):
        return _root(value.parts[0].steps)
    if isinstance(value, Steps):
        if isinstance(value.origin, Repeat):
            return _root(value.origin.vector)
        if isinstance(value.origin, Beside):
            return _root(value.origin.parts[0])
        return value
    if isinstance(value, State):
        return _root(value.steps)
    raise ImportFailed("the Keras model has no recurrent layer")


def _reads_forward(steps: Steps) -> bool:
    recurrences = [steps.pieces[place].stage for place in steps.recurrences]
    return all(
        stage.kind == "recurrence" and stage.recurrence.directions == 1 and not stage.recurrence.reverse
        for stage in recurrences
    )
