"""Small files as Keras writes them, made by hand: the frameworks are no dependencies."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Arrays = Mapping[str, Any]  # path to numbers


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def model(*layers: Mapping[str, Any], kind: str = "Sequential", name: str = "model") -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "layers": list(layers)}}


def by_class(groups: Arrays, root: str = "layers") -> bytes:
    """`.weights.h5` of Keras 3. A path without numbers is a group."""
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        for path, numbers in groups.items():
            if numbers is None:
                opened.create_group(f"{root}/{path}/vars")
            else:
                opened.create_dataset(f"{root}/{path}", data=numbers)
    return file.getvalue()


def archive(
    path: Path,
    config: Any,
    groups: Arrays,
    assets: Mapping[str, str] | None = None,
    version: str = "3.3.3",
    root: str = "layers",
) -> None:
    """A `.keras` file."""
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("metadata.json", json.dumps({"keras_version": version}))
        opened.writestr("config.json", json.dumps({**config, "compile_config": {"loss": "mse"}}))
        opened.writestr("model.weights.h5", by_class(groups, root))
        for name, content in (assets or {}).items():
            opened.writestr(f"assets/{name}", content)


def by_layer(
    path: Path, layers: Mapping[str, Sequence[tuple[str, Any]]], config: Any = None, version: str = "2.2.4"
) -> None:
    """A whole `.h5` file; without settings, one of `save_weights` of Keras 2."""
    with h5py.File(path, "w") as opened:
        root = opened
        if config is not None:
            opened.attrs["model_config"] = json.dumps(config).encode()
            opened.attrs["training_config"] = json.dumps({"loss": "mse"}).encode()
            opened.attrs["keras_version"] = np.bytes_(version)
            root = opened.create_group("model_weights")
        root.attrs["layer_names"] = np.array(list(layers), "S")
        root.attrs["keras_version"] = version
        for name, arrays in layers.items():
            group = root.create_group(name)
            names = [path.encode() for path, _ in arrays]
            pieces = [names[:4], names[4:]] if len(names) > 4 else [names]  # Keras cuts long lists
            for number, piece in enumerate(pieces):
                attribute = f"weight_names{number}" if len(pieces) > 1 else "weight_names"
                group.attrs[attribute] = np.array(piece, "S")
            for weight, numbers in arrays:
                group.create_dataset(weight, data=numbers)
