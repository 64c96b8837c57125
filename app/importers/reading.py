"""Foreign files to plain data, without running code from them.

A child process parses the file (see `app.importers.untrusted`); this process reads the safetensors and msgpack files
that the child writes.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from safetensors.torch import load_file
from torch import Tensor

import app
from app.errors import CheckpointTooLarge, ImportFailed, UnreadableCheckpoint, UnsafeCheckpoint
from app.importers.formats.unsupported import SAVED_MODEL
from app.importers.untrusted.passing import TENSORS, TREE
from app.store.publishing import held_folder

Plain = Any  # nested dict, list, tuple, str, int, float, bool, None, bytes, Tensor and ForeignObject
_ERRORS = {"Refused": UnsafeCheckpoint, "Unreadable": UnreadableCheckpoint, "TooLarge": CheckpointTooLarge}
_SCRATCH = "unroll-import-"  # prefix of the folders that child and parent share
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # of the child, and nothing of ours
_START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('app.importers.untrusted', run_name='__main__')"
)


@dataclass(frozen=True)
class ReadLimits:
    """The largest file in bytes, and the longest time for reading it in seconds."""

    bytes: int = 8 * 1024**3
    seconds: int = 120


@dataclass(frozen=True)
class ForeignObject:
    """An object of a foreign class: `name` is `module.Class`, `state` its attributes, `args` the arguments of its
    constructor, `items` and `entries` its items as a list and as a dictionary."""

    name: str
    state: Mapping[str, Any] = field(default_factory=dict)
    args: tuple[Any, ...] = ()
    items: list[Any] = field(default_factory=list)
    entries: Mapping[Any, Any] = field(default_factory=dict)


def read(path: Path, *, limits: ReadLimits = ReadLimits()) -> Plain:
    """The content of a regular file, or of a link to one. Its format is recognised by content, never by name.

    A model of Keras is `ForeignObject("keras.Model", state)` with these entries of `state`:
    - `version`: that of Keras; None if the file does not say it
    - `config`: settings, as `model.to_json()` has them (`class_name`, `config`); None in a file of weights
    - `compile`: loss and optimizer; None if the file does not say them
    - `weights`: name of the layer to its arrays in Keras' order (Bidirectional: forward, then backward); layers without
      arrays are left out. The key of a layer in a model inside of the model is `outer/inner`
    - `named`: False for weights of Keras 3 without settings: then the keys are class and number (`lstm_1`), not names,
      and `app.importers.keras_files.with_settings` names them
    - `assets`: name of the layer to its text files (`vocabulary.txt`), as they are

    A graph of ONNX is `ForeignObject("onnx.Model", state)` with `producer`, `opsets` (domain to version) and `graph`:
    `name`, `inputs` and `outputs` (name to shape, whose lengths are numbers, names or None), `initializers` (name to
    tensor), `nodes` (`op`, `name`, `domain`, `inputs`, `outputs`, `attributes`; an attribute may be a graph of the same
    form). Arrays of numpy are tensors, those of texts or objects are lists, wherever they lie. HDF5 files of other
    origin and `.npz` are dictionaries of tensors.

    Raises UnsafeCheckpoint, UnreadableCheckpoint or CheckpointTooLarge.
    """
    try:
        descriptor = os.open(path.resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, RuntimeError) as error:  # before Python 3.13, a link to itself is a RuntimeError
        raise UnreadableCheckpoint(f"{path.name} cannot be opened: {getattr(error, 'strerror', error)}") from error
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        os.close(descriptor)
        program = path.joinpath("saved_model.pb").exists()
        raise UnreadableCheckpoint(
            f"{path.name}: {SAVED_MODEL}" if program else f"{path.name} is a folder; name the file inside"
        )
    with open(descriptor, "rb") as file, held_folder(Path(tempfile.gettempdir()), _SCRATCH) as folder:
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableCheckpoint(f"{path.name} is not a regular file")
        if status.st_size > limits.bytes:
            raise CheckpointTooLarge(f"{path.name} has {status.st_size} bytes; the limit is {limits.bytes}")
        _run_child(path.name, file.fileno(), folder, status.st_size, limits)
        return _plain(folder)


def _run_child(name: str, descriptor: int, folder: Path, size: int, limits: ReadLimits) -> None:
    root = str(Path(app.__file__).parents[1])
    numbers = map(str, (size, limits.seconds, os.getpid()))
    command = [sys.executable, "-I", "-c", _START, root, str(folder), *numbers]
    try:
        ran = subprocess.run(
            command,
            stdin=descriptor,
            capture_output=True,
            timeout=limits.seconds,
            cwd=folder,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointTooLarge(f"{name}: reading took longer than the limit of {limits.seconds} seconds") from error
    if -ran.returncode in (signal.SIGKILL, signal.SIGXCPU):
        raise CheckpointTooLarge(f"{name}: reading took more time or memory than the limit for a file of its size")
    if ran.returncode < 0:
        raise UnreadableCheckpoint(
            f"{name}: {signal.Signals(-ran.returncode).name} ended the process that read it: the file is damaged, or "
            "an attack. Save the model again"
        )
    try:
        answer = json.loads(ran.stdout)
    except ValueError as error:
        raise UnreadableCheckpoint(f"{name}: the process that read it failed with status {ran.returncode}") from error
    if answer:
        raise _ERRORS.get(answer["kind"], ImportFailed)(f"{name}: {answer['detail']}")


def _plain(folder: Path) -> Plain:
    tensors = load_file(folder / TENSORS)
    return _value(msgspec.msgpack.decode(folder.joinpath(TREE).read_bytes(), strict=False), tensors)


def _value(node: Any, tensors: Mapping[str, Tensor]) -> Plain:
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        return tensors[node["tensor"]]
    if "list" in node:
        return [_value(item, tensors) for item in node["list"]]
    if "tuple" in node:
        return tuple(_value(item, tensors) for item in node["tuple"])
    if "dict" in node:
        return _mapping(node["dict"], tensors)
    return ForeignObject(
        node["stub"],
        _mapping(node["state"], tensors),
        tuple(_value(item, tensors) for item in node["args"]),
        [_value(item, tensors) for item in node["items"]],
        _mapping(node["entries"], tensors),
    )


def _mapping(pairs: Any, tensors: Mapping[str, Tensor]) -> dict[Any, Any]:
    """Keys that Python does not take as keys, such as lists, become their `repr`."""
    made = {}
    for key, value in pairs:
        plain = _value(key, tensors)
        made[plain if isinstance(plain, str | int | float | bool | bytes | None) else repr(plain)] = _value(
            value, tensors
        )
    return made


def state_dict_of(stub: ForeignObject, prefix: str = "") -> dict[str, Tensor]:
    """The parameters and buffers of a pickled module and of the modules inside it."""
    tensors = {}
    for part in ("_parameters", "_buffers"):
        for name, value in dict(stub.state.get(part) or {}).items():
            if isinstance(value, Tensor):
                tensors[prefix + name] = value
    for name, module in dict(stub.state.get("_modules") or {}).items():
        if isinstance(module, ForeignObject):
            tensors |= state_dict_of(module, f"{prefix}{name}.")
    return tensors
