"""The name of this command in the lines that it prints, so that they work as they stand."""

import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """`unroll`, or the path by which it was called where a shell does not find it, as in an inactive environment."""
    called = Path(sys.argv[0])
    return shlex.quote(sys.argv[0]) if called.name == "unroll" and shutil.which("unroll") is None else "unroll"
