"""HDF5 files: models of Keras, and arrays by name."""

from typing import Any

from app.importers.formats import hdf5, keras_model
from app.importers.formats.bounds import Bounds
from app.importers.formats.hdf5_windows import with_paths
from app.importers.formats.unpickling import Unpickling


def matches(content: bytes, bounds: Bounds) -> bool:
    return content.startswith(hdf5.SIGNATURE)


def parse(content: bytes, unpickling: Unpickling) -> Any:
    return keras_model.from_hdf5(with_paths(hdf5.opened(content, unpickling.bounds, unpickling.views)))
