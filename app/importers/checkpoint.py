"""What the files of a user contain: networks, vocabularies, labels, scalers, at any place in the nested data."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from app.errors import ImportFailed
from app.importers.column_names import MAY_BE_LABELS, ONE_TARGET, ColumnList, last_name, names_columns
from app.importers.keras_files import KERAS_MODEL
from app.importers.keras_model import KerasModel, keras_models_of
from app.importers.no_weights import is_optimizer, without_weights
from app.importers.onnx.graph import graph_of
from app.importers.reading import ForeignObject, Plain, state_dict_of
from app.importers.scalers import Scaler, beside_numbers, scaler_in
from app.importers.vocabularies import LETTERS, may_be_settings, repeats, words_alone, words_of
from app.importers.weight_norm import with_whole_weights
from app.importers.whole_modules import answers_in, functions_in

Tensors = Mapping[str, Tensor]
Made = TypeVar("Made")
_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "_model.")
_BESIDE = ("criterion.", "loss", "train_", "val_", "test_", "metric")  # what Lightning keeps beside the network
_NOT_NETWORKS = {"amp", "callbacks", "loops"}  # whole words of a key
_BEGINNINGS = ("optim", "sched")
_LABELS = (
    "label",
    "class",
    "tag_to",
    "tag2",
    "idx2tag",
    "tags",
    "ix_to_tag",
    "id2tag",
    "action",
    "categor",
    "target_names",
)
_WHOLE = re.compile(r"[1-9][0-9]{0,8}")
_MOST_TENSORS = 10_000  # of all networks; the largest ResNet has 1,000
_LONGEST_NAME = 1_000
_FOREIGN_MODELS = (KERAS_MODEL, "onnx.Model")  # of readers; layouts read them


@dataclass(frozen=True)
class Checkpoint:
    """The content of the files: state dicts, lists of words, of labels, and scalers, each by its path. `0.encoder` is
    the entry `encoder` of the first file. `settings` are numbers and words outside the tensors. `contents` has the
    whole content behind each list, and `files` that of each file, for layouts that need more. `names` are those of the
    files. `columns` are lists whose names say that they have columns of a series. `given` are the vocabularies that the
    user gave beside them, `given_contents` their whole files. `answers` are values of options that a file
    says, where a layout has such an option, and `functions` those among the modules of a pickled one."""

    networks: Mapping[str, Tensors] = field(default_factory=dict)
    vocabularies: Mapping[str, list[str]] = field(default_factory=dict)
    files: Sequence[Plain] = ()
    keras: Sequence[KerasModel] = ()
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    scalers: Mapping[str, Scaler] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, Plain] = field(default_factory=dict)
    names: Sequence[str] = ()
    given: Sequence[Sequence[str]] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    functions: Sequence[str] = ()
    columns: Sequence[ColumnList] = ()
    given_contents: Sequence[Plain] = ()
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, make: "Callable[[Checkpoint], Made]") -> "Made":
        """What a function makes of this checkpoint, which layouts ask for several times."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    @property
    def single(self) -> Tensors | None:
        """The state dict, if there is exactly one."""
        return next(iter(self.networks.values())) if len(self.networks) == 1 else None

    @property
    def network(self) -> Tensors:
        """The state dict of a checkpoint that has exactly one."""
        (network,) = self.networks.values()
        return network

    @property
    def is_state_dict_alone(self) -> bool:
        """Whether the network is a whole file, without vocabulary, labels or settings beside the tensors."""
        paths = [*self.networks]
        return len(paths) == 1 and paths[0].isdecimal()

    def setting(self, *names: str) -> Any:
        """The first setting whose path ends in one of these names, or None."""
        return next(self._settings(names), None)

    def whole_setting(self, *names: str) -> int | None:
        """The first of these settings that is a whole number above 0, or None."""
        numbers = (int(value) for value in self._settings(names) if _WHOLE.fullmatch(str(value)))
        return next(numbers, None)

    def _settings(self, names: Sequence[str]) -> Iterator[Any]:
        for name in names:
            for path, value in self.settings.items():
                if path.rpartition(".")[2].lower() == name.lower():
                    yield value

    def name_of(self, path: str) -> str:
        """A path with the name of its file, for people: `vocab.pkl`, `model.pt: tokens`."""
        number, _, rest = path.partition(".")
        name = self.names[int(number)] if number.isdecimal() and int(number) < len(self.names) else f"file {number}"
        return f"{name}: {rest}" if rest else name


def checkpoint_of(files: Sequence[Plain], names: Sequence[str] = ()) -> Checkpoint:
    """Raises ImportFailed if there are no weights."""
    networks: dict[str, Tensors] = {}
    vocabularies: dict[str, list[str]] = {}
    labels: dict[str, list[str]] = {}
    scalers: dict[str, Scaler] = {}
    settings: dict[str, Any] = {}
    contents: dict[str, Plain] = {}
    answers: dict[str, str] = {}
    functions: list[str] = []
    columns: list[ColumnList] = []
    for number, content in enumerate(files):
        if isinstance(content, ForeignObject) and content.name == "onnx.Model":
            graph = graph_of(content, name_of(number, names))
            networks[str(number)] = graph.tensors
            answers |= graph.answers
            if graph.window is not None:
                settings[f"{number}.window"] = graph.window
        file = names[number] if number < len(names) else ""
        for path, value, plain in _walk(content, str(number)):
            name = last_name(path, file)
            if isinstance(value, Scaler):
                scalers[path] = value
            elif isinstance(value, Mapping):
                networks[path] = value
                if isinstance(plain, ForeignObject):
                    answers |= answers_in(plain)
                    functions += functions_in(plain)
            elif isinstance(value, list):
                contents[path] = plain
                if names_columns(name):
                    columns.append(ColumnList(name, path, value))
                if name == MAY_BE_LABELS or not names_columns(name):
                    are_labels = any(word in f"{file}.{path}".lower() for word in _LABELS)
                    (labels if are_labels else vocabularies)[path] = value
            elif isinstance(value, str) and name in LETTERS and len(set(value)) == len(value) > 1:
                vocabularies[path] = list(value)
            else:
                settings[path] = value
                if isinstance(value, str) and name in ONE_TARGET:
                    columns.append(ColumnList(name, path, [value]))
    networks = {path: _unwrapped(with_whole_weights(tensors)) for path, tensors in _checked(networks).items()}
    keras = keras_models_of(files)
    if not networks and not keras:
        named = [name_of(number, names) for number in range(len(files))]
        raise ImportFailed(without_weights(dict(zip(named, files, strict=True))))
    if keras and not networks and not any(model.weights for model in keras):
        raise ImportFailed(
            "the file contains the settings of a Keras model and no weights of any layer: save the model after it was "
            "built or trained, model.save(...)"
        )
    return Checkpoint(
        networks,
        vocabularies,
        files,
        keras,
        labels,
        scalers,
        settings,
        contents,
        names,
        (),
        answers,
        functions,
        columns,
    )


def name_of(number: int, names: Sequence[str]) -> str:
    """The name of a file, for people."""
    return names[number] if number < len(names) else f"file {number}"


def _walk(plain: Plain, path: str) -> Iterator[tuple[str, Any, Plain]]:
    """Path, what it is, and the content."""
    if isinstance(plain, ForeignObject) and plain.name in _FOREIGN_MODELS:
        return
    if is_optimizer(plain):
        return
    scaler = scaler_in(plain)
    if scaler is not None:
        yield path, scaler, plain
        yield from _walk(beside_numbers(plain), path)
        return
    found = _weights(plain) or (None if _are_settings(plain, path) else _words(plain))
    if found:
        yield path, found, plain
    elif isinstance(plain, Mapping | ForeignObject):
        entries = plain if isinstance(plain, Mapping) else {**plain.state, **plain.entries}
        for key, value in entries.items():
            if not _is_of_training(str(key)) and not repeats(str(key), entries):
                yield from _walk(value, f"{path}.{key}")
    elif isinstance(plain, list | tuple):
        for index, value in enumerate(plain):
            yield from _walk(value, f"{path}.{index}")
    elif isinstance(plain, str | int | float | bool):
        yield path, plain, plain


def _is_of_training(key: str) -> bool:
    """Whether an entry is the state of what trains a network: `optimizer_states`, `lr_sched`, `amp`; not `examples`."""
    words = key.lower().replace(".", "_").split("_")
    return "opt" in words[1:] or any(word in _NOT_NETWORKS or word.startswith(_BEGINNINGS) for word in words)


def _weights(plain: Plain) -> dict[str, Tensor] | None:
    if isinstance(plain, ForeignObject):
        return state_dict_of(plain)
    return _state_dict(plain) if isinstance(plain, Mapping) else None


def _are_settings(plain: Plain, path: str) -> bool:
    return may_be_settings(plain, path) and not any(word in path.lower() for word in _LABELS)


def _words(plain: Plain) -> list[str] | None:
    try:
        return words_alone(plain) if isinstance(plain, Mapping) else words_of(plain)
    except ImportFailed:  # settings look like a vocabulary with holes: {"hidden": 64, "layers": 2}
        return None


def _state_dict(mapping: Mapping[Any, Any]) -> dict[str, Tensor] | None:
    tensors = {key: value for key, value in mapping.items() if isinstance(value, Tensor)}
    others = [value for value in mapping.values() if not isinstance(value, Tensor) and value is not None]
    return tensors if tensors and not others and all(isinstance(key, str) for key in tensors) else None


def _checked(networks: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
    """Raises ImportFailed for more or longer names than a network has: recognition reads them many times."""
    count = sum(map(len, networks.values()))
    if count > _MOST_TENSORS:
        raise ImportFailed(f"the files have {count:,} tensors; the limit is {_MOST_TENSORS:,}: save the network alone")
    longest = max((key for tensors in networks.values() for key in tensors), key=len, default="")
    if len(longest) > _LONGEST_NAME:
        raise ImportFailed(f"the name {longest[:40]}... of a tensor has more than {_LONGEST_NAME:,} characters")
    return networks


def _unwrapped(tensors: Tensors) -> Tensors:
    """Without the prefixes of wrappers: `nn.DataParallel`, `torch.compile`, Lightning and its like."""
    while True:
        network = {key: tensor for key, tensor in tensors.items() if not key.startswith(_BESIDE)}
        wrapper = next((one for one in _WRAPPERS if network and all(key.startswith(one) for key in network)), None)
        if wrapper is None:
            return tensors
        tensors = {key.removeprefix(wrapper): tensor for key, tensor in network.items()}
