"""The child process: parses a file from standard input, writes plain data into a folder, and reports the outcome."""

import codecs
import json
import os
import sys
from pathlib import Path

from app.importers.formats import parse, prepare
from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Refused, TooLarge, Unreadable
from app.importers.untrusted.confinement import confine
from app.importers.untrusted.passing import write


def main(folder: Path, size: int, seconds: int, parent: int) -> None:
    """Write two files into `folder`, or a reason as JSON to standard output. Ends with the process `parent`."""
    bounds = Bounds(size)
    sys.setrecursionlimit(2000)
    for encoding in ("ascii", "cp437", "latin-1", "utf-8-sig", "raw-unicode-escape", "unicode-escape"):
        codecs.lookup(encoding)  # now: later nothing can be imported
    content = sys.stdin.buffer.read(size + 1)
    prepare(content)
    confine(folder, bounds, seconds)
    if os.getppid() != parent:  # the parent ended before this process was bound to it
        sys.exit(1)
    try:
        if len(content) != size:
            raise Unreadable("it changed during reading")
        write(parse(content, bounds), folder, bounds)
    except (Refused, Unreadable, TooLarge) as error:
        answer = {"kind": type(error).__name__, "detail": str(error)}
    except MemoryError:
        answer = {"kind": "TooLarge", "detail": "it needs more memory than the limit for a file of its size"}
    except RecursionError:
        answer = {"kind": "TooLarge", "detail": "its values are nested too deeply"}
    except Exception as error:  # of a library, on a damaged file
        answer = {"kind": "Unreadable", "detail": f"it is damaged: {type(error).__name__}: {error}"[:500]}
    else:
        answer = {}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
