"""Forecasters of Keras: a row or several at once, a row for each step that was read, or a decoder of rows."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.encoders import encoder_of, pooled_network
from app.importers.keras.heads import Head, head_of, output_tensors, over_steps, with_inputs
from app.importers.keras.stacking import forward_recurrence
from app.importers.keras.understood import Understood
from app.importers.keras.values import Linear, Repeat, Steps
from app.importers.layout import require
from app.importers.parts import prefixed
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster, ValueDecoder

Tensors = Mapping[str, Tensor]


def forecaster(understood: Understood, *, targets: int) -> tuple[Forecaster, Tensors]:
    """Raises ImportFailed if the outputs are no whole number of rows of `targets`."""
    output = understood.output
    if isinstance(output, Steps):
        return _repeated(output, targets) if isinstance(output.origin, Repeat) else _per_step(output, targets)
    vector = understood.vector
    network = pooled_network(vector)
    head = head_of(vector.layers, vector.pooled_size)
    assert isinstance(network.encoder, SeriesEncoder)
    require(not len(head.last.bias) % targets, f"{len(head.last.bias)} outputs are no rows of {targets} targets")
    architecture = Forecaster(
        **network.members,
        head=head.layers,
        targets=targets,
        horizon=len(head.last.bias) // targets,
        **_function(head),
    )
    return architecture, {**network.tensors, **head.tensors, **output_tensors(head.last)}


def _per_step(output: Steps, targets: int) -> tuple[Forecaster, Tensors]:
    """A row for each of the steps that were read."""
    steps, linear = over_steps(output)
    encoder = encoder_of(steps)
    head = head_of(linear, steps.size)
    assert isinstance(encoder.config, SeriesEncoder)
    if output.count is None:
        raise ImportFailed(
            f"layer {output.pieces[-1].layer.name} of the Keras model forecasts for each step of an input of any "
            "length, and a forecast needs a fixed number of steps. Build the model with the length of its windows, "
            "Input((STEPS, FEATURES)), give it these weights (new.set_weights(model.get_weights())), and save it"
        )
    _check_targets(head.last, targets)
    architecture = Forecaster(
        encoder=encoder.config,
        head=head.layers,
        targets=targets,
        horizon=output.count or 1,
        per_step=True,
        **_function(head),
    )
    return architecture, {**prefixed(encoder.tensors, "encoder."), **head.tensors, **output_tensors(head.last)}


def _repeated(output: Steps, targets: int) -> tuple[Forecaster, Tensors]:
    """RepeatVector: a decoder that reads the summary in each step."""
    assert isinstance(output.origin, Repeat)
    vector = output.origin.vector
    require(vector.is_plain, "a layer between the encoder and RepeatVector is not supported")
    network = pooled_network(vector)
    steps, linear = over_steps(output)
    recurrence = forward_recurrence(steps.pieces)
    width = recurrence.recurrence.hidden_size
    head = head_of([with_inputs(linear[0], width), *linear[1:]], width)
    assert isinstance(network.encoder, SeriesEncoder)
    _check_targets(head.last, targets)
    decoder = ValueDecoder(
        **recurrence.recurrence.settings, hidden_size=width, layers=recurrence.recurrence.layers, reads="summary"
    )
    architecture = Forecaster(
        **network.members,
        head=head.layers,
        targets=targets,
        horizon=output.origin.count,
        decoder=decoder,
        **_function(head),
    )
    tensors = {**network.tensors, **prefixed(recurrence.tensors, "decoder."), **head.tensors}
    return architecture, {**tensors, **output_tensors(head.last)}


def _check_targets(last: Linear, targets: int) -> None:
    require(len(last.bias) == targets, f"the network forecasts {len(last.bias)} columns, not {targets}")


def _function(head: Head) -> dict[str, Any]:
    """The function of the output layer, as members of a forecaster."""
    return {"output_activation": head.last.function.activation, "slope": head.last.function.slope}
