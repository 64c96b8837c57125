"""Pickles of protocols 0 and 1. They begin with no mark: a file is one if it can be read as one to its last byte."""

from app.importers.formats.bounds import Bounds
from app.importers.formats.pickles import parse
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import count_opcodes

__all__ = ["matches", "parse"]


def matches(content: bytes, bounds: Bounds) -> bool:
    try:
        return content.endswith(b".") and count_opcodes(content, 0, bounds) == len(content)
    except Unreadable:
        return False
