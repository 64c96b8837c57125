"""Limits for the content of a file."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Bounds:
    """The limits of a file of `file` bytes. An opcode is a step of a pickle; a node is a value that it makes."""

    file: int
    depth: int = 100

    @property
    def tensors(self) -> int:
        """Bytes of all tensors together. Views may share a storage, so this is more than the file."""
        return 4 * self.file + 16 * _MIB

    @property
    def opcodes(self) -> int:
        return 20_000_000

    @property
    def nodes(self) -> int:
        return 3_000_000

    @property
    def seconds(self) -> int:
        """Limit of computing time. Only tensors make large files that are quick to read; all else is limited by
        `nodes`."""
        return 10 + self.file // (32 * _MIB)

    @property
    def memory(self) -> int:
        """Address space in bytes that the child process may take beside that of its libraries."""
        return 6 * self.tensors + 512 * _MIB
