"""`.keras` files: settings in JSON, arrays in HDF5, and the words of text layers."""

import json
from typing import Any

from app.importers.formats import hdf5, keras_model
from app.importers.formats.archive import Archive
from app.importers.formats.hdf5_windows import with_paths
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling

_CONFIG, _METADATA, _WEIGHTS, _ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"


def matches(archive: Archive) -> bool:
    return _CONFIG in archive.sizes and any(name.endswith(".h5") for name in archive.sizes)


def parse(archive: Archive, unpickling: Unpickling) -> Any:
    if _WEIGHTS not in archive.sizes:
        raise Unreadable(
            f"it has no {_WEIGHTS}: Keras may have cut it in pieces; save it with one file for the weights"
        )
    config = keras_model.settings(_text(archive, _CONFIG), _CONFIG)
    version = None
    if _METADATA in archive.sizes:
        try:
            found = json.loads(_text(archive, _METADATA))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"its {_METADATA} is not valid JSON: {error}") from error
        version = str(found["keras_version"]) if isinstance(found, dict) and "keras_version" in found else None
    root = with_paths(hdf5.opened(archive.read(_WEIGHTS), unpickling.bounds, unpickling.views))
    return keras_model.from_archive(root, config, version, _assets(archive))


def _assets(archive: Archive) -> dict[str, dict[str, str]]:
    """Text files by the group of their layer; of files of one name, the one nearest to the layer."""
    made: dict[str, dict[str, str]] = {}
    paths = [name for name in archive.sizes if name.startswith(_ASSETS)]
    for path in sorted(paths, key=lambda path: path.count("/")):
        parts = [part for part in path.removeprefix(_ASSETS).split("/") if part not in keras_model.ROOTS]
        layer, name = "/".join(part for part in parts[:-1] if not part.startswith("_")), parts[-1]
        made.setdefault(layer, {}).setdefault(name, _text(archive, path))
    return made


def _text(archive: Archive, name: str) -> str:
    try:
        return archive.read(name).decode("utf8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"its entry {name!r} is not text in UTF-8") from error
