"""Files of `numpy.savez`: a zip archive of files of `numpy.save`."""

from typing import Any

from app.importers.formats import numpy_file
from app.importers.formats.archive import Archive
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling


def matches(archive: Archive) -> bool:
    return bool(archive.sizes) and all(name.endswith(".npy") for name in archive.sizes)


def parse(archive: Archive, unpickling: Unpickling) -> dict[str, Any]:
    made = {}
    for name in archive.sizes:
        content = archive.read(name)
        if not numpy_file.matches(content, unpickling.bounds):
            raise Unreadable(f"its entry {name[:80]!r} is not an array of numpy")
        made[name.removesuffix(".npy")] = numpy_file.parse(content, unpickling)
    return made
