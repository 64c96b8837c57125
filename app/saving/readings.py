"""Answers that a live module gives by itself: facts of its parts, and the reading under which a network of ours answers
as the module does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

from torch import nn

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Given, Layout
from app.importers.network import network_of
from app.importers.options import Option, OptionValues
from app.importers.vocabularies import Role, WordFile
from app.saving.beside import EXACT, can_compare, difference
from app.saving.calls import Answers
from app.store.series_input import Feature

_TRIED = (
    "nonlinearity",
    "activation",
    "pooling",
    "norm_at",
    "attention_activation",
    "front_activation",
    "conv_activation",
    "conv_padding",
    "output_activation",
    "decoder_reads",
    "first_input",
    "first_state",
    "outputs",
    "order",
)
_MAY_NOT_SHOW = ("outputs", "order")  # logits, and rows without steps and columns, are the same under all readings
_FUNCTIONS = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.LeakyReLU: "leaky_relu",
    nn.ELU: "elu",
    nn.GELU: "gelu",
    nn.SELU: "selu",
}
_MOST_READINGS = 300


@dataclass
class Readings:
    """`values` are answers by option, `found` says how they are known, `nearest` is the difference of the best
    reading."""

    values: dict[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    nearest: float = math.inf


def readings_of(
    answers: Answers,
    layout: Layout,
    checkpoint: Checkpoint,
    files: Sequence[WordFile],
    settings: Mapping[str, str],
    targets: int = 0,
) -> Readings:
    """The values of options that the module itself shows. `targets` is the number of those that the user named."""
    module = answers.module
    options = [option for option in layout.options(checkpoint) if option.name not in settings]
    known = Readings()
    for option in options:
        if isinstance(module, nn.Module) and (value := _fact(module, option)) is not None:
            known.values[option.name] = value
            known.found.append(f"{option.name}: {value}, of the module's parts")
    tried = [option for option in options if option.name in _TRIED and option.name not in known.values]
    order = sorted(tried, key=lambda option: _TRIED.index(option.name))
    choices = [_choices(module, option) for option in order]
    for values in islice(product(*choices), _MOST_READINGS):
        reading = dict(zip((option.name for option in order), values, strict=True))
        far = _distance(answers, layout, checkpoint, files, {**settings, **known.values, **reading}, targets)
        known.nearest = min(known.nearest, far)
        if far <= EXACT:
            for option, others in zip(order, choices, strict=True):
                if option.name in _MAY_NOT_SHOW and any(
                    _distance(
                        answers,
                        layout,
                        checkpoint,
                        files,
                        {**settings, **known.values, **reading, option.name: other},
                        targets,
                    )
                    <= EXACT
                    for other in others
                    if other != reading[option.name]
                ):
                    del reading[option.name]
            known.values |= reading
            known.found += [f"{name}: {value}, as the module answers" for name, value in reading.items()]
            break
    return known


def _fact(module: nn.Module, option: Option) -> str | None:
    """The value of an option that is an attribute of a part."""
    if option.name == "nonlinearity":
        kinds = {part.nonlinearity for part in module.modules() if isinstance(part, nn.RNN)}
        return kinds.pop() if len(kinds) == 1 else None
    if option.name == "slope":
        slopes = {str(part.negative_slope) for part in module.modules() if isinstance(part, nn.LeakyReLU)}
        return slopes.pop() if len(slopes) == 1 else None
    if option.name == "conv_padding":
        paddings = {_padding(part) for part in module.modules() if isinstance(part, nn.Conv1d)}
        return paddings.pop() if len(paddings) == 1 else None
    if option.name in ("conv_stride", "conv_dilation"):
        name = option.name.removeprefix("conv_")
        values = {str(getattr(part, name)[0]) for part in module.modules() if isinstance(part, nn.Conv1d)}
        return values.pop() if len(values) == 1 else None
    return None


def _padding(part: nn.Conv1d) -> str:
    return part.padding if isinstance(part.padding, str) else str(part.padding[0])


def _choices(module: Any, option: Option) -> list[str]:
    """The values to try: the usual one first, and functions that the module has as parts before others."""
    choices = list(option.choices) or [option.usual or ""]
    if isinstance(module, nn.Module) and option.name.endswith("activation"):
        parts = {name for kind, name in _FUNCTIONS.items() if any(type(part) is kind for part in module.modules())}
        choices.sort(key=lambda choice: choice not in parts)
    elif option.usual in choices:
        choices.sort(key=lambda choice: choice != option.usual)
    return choices


def _distance(
    answers: Answers,
    layout: Layout,
    checkpoint: Checkpoint,
    files: Sequence[WordFile],
    settings: Mapping[str, str],
    targets: int,
) -> float:
    """How far the network of a reading is from the module; infinite if there is none."""
    try:
        converted = layout.convert(checkpoint, _given(layout, checkpoint, files, settings, targets))
        network = network_of(converted)
        return difference(answers, converted, network) if can_compare(converted) else math.inf
    except (ImportFailed, KeyError, IndexError, RuntimeError, TypeError, ValueError):
        return math.inf


def _given(
    layout: Layout, checkpoint: Checkpoint, files: Sequence[WordFile], settings: Mapping[str, str], targets: int
) -> Given:
    """Answers with names that are not used, where the user gave none: the network does not depend on them."""
    usual = {option.name: option.usual or next(iter(option.choices), "") for option in layout.options(checkpoint)}
    values = {**usual, **{name: value for name, value in settings.items() if name in usual}}
    needs = layout.needs(checkpoint, values)
    columns = needs.columns
    words: dict[Role, Sequence[str]] = {}
    for role in needs.vocabularies:
        mine = next((file.words for file in files if file.role in (role, None)), None)
        words[role] = mine or [f"w{number}" for number in range(needs.rows.get(role, 1))]
    return Given(
        OptionValues(values),
        words,
        labels=[f"l{number}" for number in range(needs.labels or 0)],
        features=_columns(columns.features) if columns else (),
        targets=_columns(targets or columns.targets[0]) if columns and columns.targets else (),
    )


def _columns(count: int) -> list[Feature]:
    return [Feature(name=f"x{number}") for number in range(count)]
