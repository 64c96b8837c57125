"""Files of a version, as a manifest names them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from app.store.names import is_file_name
from app.store.part import Part


def _plain_name(name: str) -> str:
    if not is_file_name(name):
        raise ValueError("files need plain names without a folder, of at most 100 printable characters")
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]


class FileEntry(Part):
    """SHA-256 and size in bytes of a file of the version."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0, lt=2**50)]
