"""Keras models that forecast series."""

from collections.abc import Mapping, Sequence

from app.importers.checkpoint import Checkpoint
from app.importers.keras.forecasters import forecaster
from app.importers.keras.models import KerasLayout
from app.importers.keras.series import columns_of, features_of, read_as, series_input, series_options
from app.importers.keras.understood import Kind, Understood
from app.importers.keras.values import Vector
from app.importers.layout import Converted, Given, Needs
from app.importers.options import Option
from app.importers.rows import ORDER, steps_first

_FEEDBACK = Option(
    "feedback",
    "steps after the one that the network gives: none, or its forecast is appended to the window, which is read anew",
    "none",
    ("none", "window"),
    assumed=True,
)


def _is_one_row(understood: Understood) -> bool:
    """Whether the outputs are numbers side by side, without a shape of steps and columns."""
    output = understood.output
    return isinstance(output, Vector) and not (output.shape and len(output.shape) == 2) and output.size > 3


class KerasForecaster(KerasLayout):
    """Outputs are rows of targets, one after the other."""

    name = "keras-series-forecaster"
    source = "a Keras model from a series to the values that follow"
    kinds: Sequence[Kind] = ("forecaster",)
    reads_text = False

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        understood = self.understood(checkpoint)
        fed = understood.outputs == features_of(understood)
        order = [ORDER] * _is_one_row(understood)
        return [*series_options(understood), *([_FEEDBACK] if fed else []), *order]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(columns=columns_of(self.understood(checkpoint), chosen, forecasts=True))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        understood = self.understood(checkpoint)
        architecture, tensors = forecaster(understood, targets=len(given.targets))
        if given.values.given.get("order") == "targets":
            tensors = steps_first(tensors, len(given.targets))
        architecture = read_as(architecture, understood, given)
        feedback = given.values.given.get("feedback", "none")
        if feedback != "none":
            architecture = architecture.model_validate(architecture.model_dump() | {"feedback": feedback})
        return Converted(architecture, tensors, series=series_input(understood, given, window=feedback == "window"))
