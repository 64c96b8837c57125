"""Options of Keras models over series, and the columns and windows that follow."""

from collections.abc import Mapping
from typing import TypeVar

from app.importers.keras.encoders import source_length
from app.importers.keras.understood import Understood
from app.importers.keras.values import Repeat, Source, Steps, Vector
from app.importers.layout import Columns, Given
from app.importers.options import Option
from app.store.classifier import Classifier
from app.store.forecaster import Forecaster
from app.store.series_input import SeriesInput

LOOK_BACK = "look_back"
T = TypeVar("T", Classifier, Forecaster)


def series_options(understood: Understood) -> list[Option]:
    """Keras reads other lengths than the shape says, unless a layer needs that one."""
    size = source_length(understood.root)
    options = []
    if may_be_look_back(understood):
        columns = understood.root.first_size
        options.append(
            Option(
                "rows",
                f"the network reads one step of {columns} numbers: columns, one row of {columns} columns; or "
                f"look_back, {columns} steps of one column (reshaped to samples, 1, look_back)",
                "columns",
                ("columns", "look_back"),
                depends="what a series is",
            )
        )
    elif size is not None and not needs_window(understood):
        options.append(
            Option(
                "window",
                f"any: all steps that are given are read, as Keras does; fixed: the last {size}, the length of the "
                "training's windows",
                "any",
                ("any", "fixed"),
                assumed=True,
            )
        )
    return options


def needs_window(understood: Understood) -> bool:
    """Whether the network takes one length only."""
    output, root = understood.output, understood.root
    if root.is_transposed:
        return True
    while isinstance(output, Steps) and isinstance(output.origin, Repeat):
        output = output.origin.vector
    if isinstance(output, Vector):
        return any(part.pooling == "flatten" for part in output.parts)
    return True


def may_be_look_back(understood: Understood) -> bool:
    """Whether its only step may be a window of one column."""
    root = understood.root
    return source_length(root) == 1 and root.first_size > 1 and root.mask is None and not root.is_transposed


def features_of(understood: Understood) -> int:
    """Columns of the series."""
    origin = understood.root.origin
    assert isinstance(origin, Source)
    return int(origin.shape[1] or 1) if len(origin.shape) > 1 else 1


def columns_of(understood: Understood, chosen: Mapping[str, str], *, forecasts: bool) -> Columns:
    """The columns, and the numbers of targets that the outputs may have where it forecasts."""
    features, output = features_of(understood), understood.output
    if chosen.get("rows") == LOOK_BACK:
        features = 1
    if not forecasts:
        return Columns(features)
    if isinstance(output, Steps):
        return Columns(features, (output.size,))
    assert isinstance(output, Vector)
    if output.shape and len(output.shape) == 2:
        return Columns(features, (output.shape[1],))
    usual = features if output.size == features else 1
    divisors = [number for number in range(1, output.size + 1) if output.size % number == 0]
    return Columns(features, (usual, *(number for number in divisors if number != usual)))


def read_as(architecture: T, understood: Understood, given: Given) -> T:
    """The network as it reads a series: with `look_back` its features are the steps of one column."""
    if given.values.given.get("rows") != LOOK_BACK:
        return architecture
    columns = understood.root.first_size
    encoder = architecture.encoder.model_copy(update={"features": 1, "transposed": columns})
    return architecture.model_validate(architecture.model_copy(update={"encoder": encoder}).model_dump())


def series_input(understood: Understood, given: Given, *, window: bool = False) -> SeriesInput:
    """The rows that the network reads. `window`: its length is fixed in any case."""
    size = source_length(understood.root)
    if given.values.given.get("rows") == LOOK_BACK:
        size, window = understood.root.first_size, True
    fixed = window or needs_window(understood) or given.values.given.get("window") == "fixed"
    return SeriesInput(features=tuple(given.features), targets=tuple(given.targets), window=size if fixed else None)
