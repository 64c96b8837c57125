"""Files as a caller gives them."""

from os import PathLike
from pathlib import Path
from typing import IO

File = str | PathLike[str] | bytes | IO[bytes]


def file_bytes(file: File) -> bytes:
    """The content of a file: of its path, its bytes, or a file opened in mode `rb`. Raises OSError and TypeError."""
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    if isinstance(file, str | PathLike):
        return Path(file).read_bytes()
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError("a file is opened in text mode; open it with mode 'rb'")
    return content
