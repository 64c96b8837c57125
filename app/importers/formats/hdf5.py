"""HDF5 without what leads out of the file: links to other files, datasets of other files, filters that are plugins.

The file is opened as an image in memory. Nothing is read before its declared size is within the limits.
"""

import os
import sys
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from app.importers.formats.bounds import Bounds
from app.importers.formats.numpy_arrays import contiguous, tensor_of
from app.importers.formats.refusals import Refused, TooLarge, Unreadable
from app.importers.formats.storages import NumberType, TensorView, Views

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEEPEST = 32  # levels of groups
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf: within the library


def load_library() -> None:
    """To be called before the process is confined: it cannot import afterwards."""
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no plugin is ever loaded
    import h5py

    h5py.File(h5py.h5f.open_file_image(_empty_file(h5py)), "r").close()  # what the first file imports


def _empty_file(h5py: Any) -> bytes:
    with h5py.File("none", "w", driver="core", backing_store=False) as file:
        file.attrs["version"] = "1"
        file["numbers"] = np.zeros(1, np.float32)
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


class Group:
    """A group of a file. `path` says where it is."""

    def __init__(self, group: Any, path: str, bounds: Bounds, views: Views) -> None:
        self._group, self.path, self._bounds, self._views = group, path, bounds, views

    def names(self) -> list[str]:
        return [str(name) for name in _read(lambda: list(self._group))]

    def get(self, path: str) -> "Group | Numbers | None":
        """What lies at a path below this group. Raises Refused if a link on the way leads out of the file."""
        import h5py

        found: Any = self._group
        parts = [part for part in path.split("/") if part not in ("", ".")]
        for part in parts:
            if not isinstance(found, h5py.Group):
                return None
            link = _read(lambda: found.get(part, getlink=True))  # noqa: B023 - it is called at once
            if link is None:
                return None
            if isinstance(link, h5py.ExternalLink):
                raise Refused(f"its part {self.path}{path} is a link to another file")
            if not isinstance(link, h5py.HardLink):
                raise Unreadable(f"its part {self.path}{path} is a link to another part, which Keras does not write")
            found = _read(lambda: found[part])  # noqa: B023
        where = f"{self.path}{path}"
        if where.count("/") > DEEPEST:
            raise TooLarge(f"its groups are nested more than {DEEPEST} deep")
        if isinstance(found, h5py.Group):
            return Group(found, f"{where}/" if parts else self.path, self._bounds, self._views)
        return Numbers(found, where, self._bounds, self._views) if isinstance(found, h5py.Dataset) else None

    def group(self, path: str) -> "Group | None":
        found = self.get(path)
        return found if isinstance(found, Group) else None

    def groups(self) -> Iterator[tuple[str, "Group"]]:
        for name in self.names():
            if (found := self.group(name)) is not None:
                yield name, found

    def datasets(self) -> Iterator[tuple[str, "Numbers"]]:
        for name in self.names():
            if isinstance(found := self.get(name), Numbers):
                yield name, found

    def text(self, name: str) -> str | None:
        """An attribute that is text; None if there is none."""
        value = self._attribute(name)
        if isinstance(value, bytes):
            return value.decode("utf8", "replace")
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of texts. Keras cuts long ones in pieces: `name0`, `name1`, and so on."""
        value = self._attribute(name)
        if value is None:
            pieces, number = [], 0
            while (piece := self._attribute(f"{name}{number}")) is not None:
                pieces.append(piece)
                number += 1
            if not pieces:
                return None
            value = [item for piece in pieces for item in np.asarray(piece).tolist()]
        items = value if isinstance(value, list) else np.asarray(value).tolist()
        if not isinstance(items, list):
            raise Unreadable(f"the attribute {name} of {self.path or '/'} is not a list")
        return [item.decode("utf8", "replace") if isinstance(item, bytes) else str(item) for item in items]

    def _attribute(self, name: str) -> Any:
        if not _read(lambda: name in self._group.attrs):
            return None
        found = _read(lambda: self._group.attrs.get_id(name))
        if prod(found.shape) * max(found.dtype.itemsize, 1) > self._bounds.tensors:
            raise TooLarge(f"its attribute {name} declares more bytes than a file of its size can hold")
        return _read(lambda: self._group.attrs[name])


class Numbers:
    """A dataset."""

    def __init__(self, dataset: Any, path: str, bounds: Bounds, views: Views) -> None:
        self._dataset, self.path, self._bounds, self._views = dataset, path, bounds, views

    def tensor(self) -> TensorView:
        self._check()
        numbers = _read(lambda: np.asarray(self._dataset[()]))
        kind = numbers.dtype
        if kind.kind == "V" and kind.itemsize == 2 and not kind.fields:  # bfloat16 of Keras 3
            return contiguous(NumberType("BF16", 2), numbers.shape, numbers.tobytes(), self._views)
        made = tensor_of(numbers, self._views)
        if made is None:
            raise Unreadable(f"{self.path} has the number type {kind}, which is not known")
        return made

    def _check(self) -> None:
        settings = _read(self._dataset.id.get_create_plist)
        import h5py

        if settings.get_layout() == h5py.h5d.VIRTUAL or settings.get_external_count():
            raise Refused(f"the numbers of {self.path} lie in another file")
        unknown = {settings.get_filter(n)[0] for n in range(settings.get_nfilters())} - _FILTERS
        if unknown:
            raise Unreadable(f"{self.path} is compressed with filter {min(unknown)} of HDF5, which is a plugin")
        shape, size = self._dataset.shape, self._dataset.dtype.itemsize
        if shape is None:
            raise Unreadable(f"{self.path} is empty")
        for lengths in (shape, self._dataset.chunks or ()):
            if prod(lengths) * size > self._bounds.tensors:
                raise TooLarge(
                    f"its arrays declare more bytes than a file of its size can hold: {self.path} has shape {lengths}"
                )


def opened(content: bytes, bounds: Bounds, views: Views) -> Group:
    """The root of a file. `load_library` has been called, unless the file lies in another one."""
    if "h5py" not in sys.modules:
        raise Unreadable("it contains an HDF5 file: unpack it, and give that file")
    import h5py

    try:
        file = h5py.File(h5py.h5f.open_file_image(content), "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise Unreadable("it is an HDF5 file that is damaged or cut short") from error
    return Group(file, "", bounds, views)


def _read(step: Any) -> Any:
    """A step of the library, which reports damage by errors of many kinds."""
    try:
        return step()
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise Unreadable(f"it is a damaged HDF5 file: {error}") from error
