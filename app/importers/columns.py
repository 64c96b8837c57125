"""The columns of a series: their names and their scaling, from the user, from scalers in the files, or usual ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.column_names import columns_for
from app.importers.labels import Asks
from app.importers.layout import Columns
from app.importers.numbered import in_short, named_in_short
from app.importers.questions import Question
from app.importers.reading import read
from app.importers.request import ImportRequest
from app.importers.scalers import Scaler, Scaling, scaler_in_words, scaler_of
from app.store.scaling import Standard
from app.store.series_input import Feature

_SCALING = ("scal", "norm", "stat")
_TARGETS = ("target", "label", "y_", "_y", "output")
_SHOWN = 8
_FORM = "FILE, min-max:MIN,MAX or standard:MEAN,STD"


@dataclass(frozen=True)
class Named:
    """The columns with their names and scaling."""

    features: Sequence[Feature] = ()
    targets: Sequence[Feature] = ()
    scalers: Mapping[str, Scaler] = field(default_factory=dict)


def columns_of(needed: Columns | None, request: ImportRequest, checkpoint: Checkpoint, state: Asks) -> Named:
    """Raises ImportFailed for names or scalers that do not fit the network."""
    if needed is None:
        if request.features or request.targets or request.scalers:
            raise ImportFailed("this network reads no series: leave out --features, --targets and --scaler")
        return Named()
    scalers = _scalers(needed, request, checkpoint, state)
    features = _features(needed, request, scalers.get("features"), checkpoint, state)
    targets = _targets(needed, features, request, scalers, checkpoint, state)
    made = Named(
        [Feature(name=name, scaling=_scaling(scalers.get("features"), features, name)) for name in features],
        scalers=scalers,
    )
    by_name = {feature.name: feature for feature in made.features}
    return Named(
        made.features,
        [
            Feature(name=name, scaling=_scaling(scalers["targets"], targets, name))
            if "targets" in scalers
            else by_name.get(name, Feature(name=name))
            for name in targets
        ],
        scalers,
    )


def _scalers(needed: Columns, request: ImportRequest, checkpoint: Checkpoint, state: Asks) -> dict[str, Scaler]:
    """By `features` and `targets`."""
    given = [(role, _read(text), text) for role, text in request.scalers]
    surely = {path: s for path, s in checkpoint.scalers.items() if _is_sure(path, checkpoint.name_of(path), s, needed)}
    counts = {1, needed.features}
    maybe = {
        path: s
        for path, s in checkpoint.scalers.items()
        if path not in surely and len(s.columns) in counts and all(s.columns)
    }
    found = [(None, scaler, checkpoint.name_of(path)) for path, scaler in surely.items()]
    scalers: dict[str, Scaler] = {}
    for role, scaler, name in [*given, *(found if not given else [])]:
        place = role or _role_of(name, scaler, needed, is_alone=len(given or found) == 1)
        if place in scalers:
            raise ImportFailed(f"two scalers are for the {place}: give --scaler features=FILE --scaler targets=FILE")
        scalers[place] = scaler
        is_guess = role is None and place == "targets" and len(scaler.columns) != needed.features
        if is_guess:
            state.unsure.append(
                f"whether {name} is the scaler of the targets (--scaler targets={name}): it has "
                f"{_columns(len(scaler.columns))}, and the network reads {needed.features}"
            )
        if not given or scaler.note or is_guess:
            state.found.append(f"scaler of the {place}: {scaler.describe()}, {name}")
    if "features" not in scalers:
        usual = next((s.in_words() for path, s in maybe.items() if path.isdecimal()), "none")
        others = ", ".join(f"{s.in_words()} of {checkpoint.name_of(path)}" for path, s in list(maybe.items())[:3])[:400]
        taken = state.ask(
            Question(
                "--scaler",
                _FORM,
                name="features" if scalers else "",
                meaning="how the numbers were scaled before the network read them",
                usual=usual,
                values=f"none, {_FORM}",
                depends="forecasts are scaled back by it; a network that was trained on scaled numbers answers "
                "nonsense without its scaler"
                + (f". The files have numbers that may be one: {others}" if maybe else ""),
            )
        )
        offered = scaler_in_words(taken) if taken not in (None, "none") else None
        if offered is not None:
            scalers["features"] = offered
    return scalers


def _is_sure(path: str, name: str, scaler: Scaler, needed: Columns) -> bool:
    """Whether something found in a file is a scaler of its columns: by its class or its name, or a mean and a deviation
    of each column. Limits of a learning rate are none."""
    if not scaler.is_numbers or any(hint in (name if path.isdecimal() else path).lower() for hint in _SCALING):
        return True
    is_standard = all(isinstance(column, Standard) for column in scaler.columns)
    return is_standard and len(scaler.columns) in (needed.features, *needed.targets)


def _role_of(name: str, scaler: Scaler, needed: Columns, *, is_alone: bool) -> str:
    if not is_alone and any(hint in name.lower() for hint in _TARGETS):
        return "targets"
    if len(scaler.columns) == 1 and scaler_in_words(name) is not None:  # that of every column
        return "features"
    if len(scaler.columns) != needed.features and len(scaler.columns) in needed.targets:
        return "targets"
    return "features"


def _read(text: str) -> Scaler:
    scaler = scaler_in_words(text)
    if scaler is not None:
        return scaler
    path = Path(text)
    if not path.is_file():
        raise ImportFailed(f"--scaler {text}: there is no such file; use none, {_FORM}")
    scaler = scaler_of(read(path))
    if scaler is None:
        raise ImportFailed(
            f"{path.name} is no scaler: give a MinMaxScaler or StandardScaler of sklearn (pickle or joblib), or JSON "
            'such as {"mean": [...], "std": [...]}'
        )
    return scaler


def _features(
    needed: Columns, request: ImportRequest, scaler: Scaler | None, checkpoint: Checkpoint, state: Asks
) -> Sequence[str]:
    count = needed.features
    if request.features:
        names = _whole(request.features)
        if len(names) != count:
            raise ImportFailed(
                f"the network reads {count} numbers a step, and --features names {len(names)}: name each, in order"
            )
        return names
    if scaler is not None and len(scaler.names) == count:
        return scaler.names
    named = columns_for(checkpoint.columns, "features", [count])
    if count == 1:
        return request.targets[:1] or (named.columns if named else ("value",))
    usual = named.columns if named else [f"x{number}" for number in range(1, count + 1)]
    state.ask(
        Question(
            "--features",
            "NAME,NAME",
            f"names of the {count} columns that the network reads, in order",
            usual=in_short(usual),
            depends="columns of a CSV are found by these names"
            + (f". These are those of {checkpoint.name_of(named.path)}" if named else ""),
        )
    )
    return usual


def _targets(
    needed: Columns,
    features: Sequence[str],
    request: ImportRequest,
    scalers: Mapping[str, Scaler],
    checkpoint: Checkpoint,
    state: Asks,
) -> Sequence[str]:
    if not needed.targets:
        if request.targets:
            raise ImportFailed("this network answers with a label: leave out --targets")
        return ()
    scaler = scalers.get("targets")
    if request.targets:
        names = _whole(request.targets)
        if len(names) not in needed.targets:
            numbers = " or ".join(map(str, needed.targets))
            raise ImportFailed(f"the network forecasts {numbers} columns, and --targets names {len(names)}")
        return names
    count = needed.targets[0]
    is_scaled = scaler is not None and len(scaler.columns) in needed.targets
    if scaler is not None and is_scaled:
        count = len(scaler.columns)
        if len(scaler.names) == count:
            return scaler.names
    named = columns_for(checkpoint.columns, "targets", [count] if is_scaled else needed.targets)
    if count == len(features) and scaler is None and named is None:
        return features
    usual = [features[0]] if count == 1 and scaler is None else _numbered(count)
    if named is not None:
        usual = list(named.columns)
    state.ask(
        Question(
            "--targets",
            "NAME,NAME",
            f"names of the columns that the network forecasts ({_or(needed.targets)})",
            usual=in_short(usual),
            depends="a column that it reads, too, is scaled back as that one"
            + (f". These are those of {checkpoint.name_of(named.path)}" if named else ""),
        )
    )
    return usual


def _whole(names: Sequence[str]) -> Sequence[str]:
    """The names, where one may be `x1..x5000`."""
    return [whole for name in names for whole in named_in_short(name) or [name]]


def _columns(count: int) -> str:
    return f"{count} column{'s' if count > 1 else ''}"


def _or(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers)) if len(numbers) <= _SHOWN else f"a divisor of {max(numbers)}"


def _numbered(count: int) -> list[str]:
    return ["target"] if count == 1 else [f"target{number}" for number in range(1, count + 1)]


def _scaling(scaler: Scaler | None, names: Sequence[str], name: str) -> Scaling | None:
    if scaler is None:
        return None
    columns = scaler.columns
    if len(columns) == 1:
        return columns[0]
    if len(columns) != len(names):
        if name in scaler.names:
            return columns[list(scaler.names).index(name)]
        raise ImportFailed(
            f"the scaler has {len(columns)} columns, and the network {len(names)}: give the numbers of each column, "
            "such as --scaler features='min-max:0,1;min-max:0,250'"
        )
    return columns[list(names).index(name)]
