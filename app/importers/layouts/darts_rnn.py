"""darts: `BlockRNNModel` and `RNNModel`, from the checkpoint of Lightning that `model.save` writes (`*.pt.ckpt`)."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Columns, Converted, Given, Layout, Needs, Understanding, require
from app.importers.parts import is_recurrent, linear, prefixed, recurrence, recurrent_weights, under
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster
from app.store.layer import Layer
from app.store.recurrence import Activation
from app.store.series_input import SeriesInput

_FUNCTIONS: Mapping[str, Activation] = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "SELU": "selu",
    "GELU": "gelu",
    "Softplus": "softplus",
}


class _Darts(Layout):
    output: str  # the prefix of what follows the recurrence

    def matches(self, checkpoint: Checkpoint) -> bool:
        tensors = checkpoint.single
        return (
            tensors is not None
            and is_recurrent(tensors, "rnn.")
            and bool(under(tensors, self.output))
            and checkpoint.setting("input_chunk_length") is not None
        )

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        recurrent = recurrence(checkpoint.network, "rnn.")
        targets, window = _whole(checkpoint, "target_size"), _whole(checkpoint, "input_chunk_length")
        return Understanding(
            [
                f"{recurrent.describe()} over {recurrent.input_size} numbers a step, {window} steps at once",
                self._answer(checkpoint, targets),
            ]
        )

    @abstractmethod
    def _answer(self, checkpoint: Checkpoint, targets: int) -> str: ...

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        features = recurrence(checkpoint.network, "rnn.").input_size
        return Needs(columns=Columns(features, [_whole(checkpoint, "target_size")]))

    def _check(self, checkpoint: Checkpoint) -> None:
        parameters = _whole(checkpoint, "nr_params")
        require(
            parameters == 1,
            f"the network answers with {parameters} parameters of a distribution for each number (likelihood), which "
            "is not supported: train it without",
        )
        require(
            not checkpoint.setting("use_reversible_instance_norm"),
            "the network normalises each window by itself (use_reversible_instance_norm), which is not supported",
        )
        require(_whole(checkpoint, "future_cov_dim", 0) == 0, "a network with future covariates is not supported")

    def _converted(self, checkpoint: Checkpoint, given: Given, members: dict[str, Any], tensors: Tensors) -> Converted:
        network = checkpoint.network
        recurrent = recurrence(network, "rnn.")
        return Converted(
            architecture=Forecaster.model_validate(
                {
                    "encoder": SeriesEncoder(features=recurrent.input_size, recurrence=recurrent),
                    "targets": _whole(checkpoint, "target_size"),
                    **members,
                }
            ),
            tensors={**prefixed(recurrent_weights(network, "rnn."), "encoder.recurrence."), **tensors},
            series=SeriesInput(
                features=tuple(given.features),
                targets=tuple(given.targets),
                window=_whole(checkpoint, "input_chunk_length"),
            ),
        )


class BlockRnn(_Darts):
    """In newer versions, the layers of `fc` read each of the last outputs, and make one row of each; before, they read
    the last state, and make all rows at once."""

    name = "darts-block-rnn"
    source = "darts, BlockRNNModel"
    output = "fc."

    def _answer(self, checkpoint: Checkpoint, targets: int) -> str:
        steps = _whole(checkpoint, "output_chunk_length")
        how = "a row from each of the last outputs" if self._is_per_step(checkpoint) else "all from the last state"
        return f"{steps} rows of {targets} numbers ahead, {how}"

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        self._check(checkpoint)
        network, horizon = checkpoint.network, _whole(checkpoint, "output_chunk_length")
        require(
            not under(network, "up_sampler."),
            "output_chunk_length is greater than input_chunk_length, which needs a layer over time: not supported",
        )
        numbers = _layers(network)
        # Without functions between them, layers have numbers one after the other.
        has_function = len(numbers) > 1 and numbers[1] - numbers[0] > 1
        activation = _function(checkpoint) if has_function else "none"
        tensors: dict[str, Tensor] = {}
        for place, number in enumerate(numbers[:-1]):
            tensors |= prefixed(linear(network, f"fc.{number}."), f"head.{place}.")
        tensors |= prefixed(linear(network, f"fc.{numbers[-1]}."), "output.")
        head = tuple(Layer(size=len(network[f"fc.{number}.weight"]), activation=activation) for number in numbers[:-1])
        members = {"horizon": horizon, "head": head, "per_step": self._is_per_step(checkpoint)}
        return self._converted(checkpoint, given, members, tensors)

    def _is_per_step(self, checkpoint: Checkpoint) -> bool:
        network = checkpoint.network
        rows, targets = len(network[f"fc.{_layers(network)[-1]}.weight"]), _whole(checkpoint, "target_size")
        steps = _whole(checkpoint, "output_chunk_length")
        parameters = _whole(checkpoint, "nr_params", 1)
        require(
            rows in (targets * parameters, targets * parameters * steps),
            f"its last layer has {rows} outputs; {targets} targets and {steps} steps need {targets} or "
            f"{targets * steps}",
        )
        return rows == targets * parameters and steps > 1


class RnnModel(_Darts):
    """The network reads its own forecasts, and keeps its state."""

    name = "darts-rnn"
    source = "darts, RNNModel"
    output = "V."

    def _answer(self, checkpoint: Checkpoint, targets: int) -> str:
        return f"one row of {targets} numbers after the other, each read as the next input"

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        self._check(checkpoint)
        network = checkpoint.network
        features, targets = recurrence(network, "rnn.").input_size, _whole(checkpoint, "target_size")
        require(
            features == targets,
            f"the network reads {features - targets} future covariates beside its {targets} targets: not supported",
        )
        return self._converted(checkpoint, given, {"feedback": "state"}, prefixed(linear(network, "V."), "output."))


def _layers(network: Tensors) -> Sequence[int]:
    """The numbers of the layers of `fc`."""
    return sorted(int(match[1]) for key in network if (match := re.fullmatch(r"fc\.(\d+)\.weight", key)))


def _function(checkpoint: Checkpoint) -> Activation:
    name = checkpoint.setting("activation") or "ReLU"
    require(name in _FUNCTIONS, f"activation {name} is not supported; these are: {', '.join(_FUNCTIONS)}")
    return _FUNCTIONS[name]


def _whole(checkpoint: Checkpoint, name: str, usual: int = 1) -> int:
    value = checkpoint.setting(name)
    return value if isinstance(value, int) else usual
