"""The child: reads what comes as its standard input, writes into the folder that it is told, says how it went."""

import codecs
import json
import os
import sys
from pathlib import Path

from app.importers.untrusted.bounds import Bounds
from app.importers.untrusted.confinement import confine
from app.importers.untrusted.files import parse
from app.importers.untrusted.passing import write
from app.importers.untrusted.refusals import Refused, TooLarge, Unreadable


def main(folder: Path, size: int, seconds: int, parent: int) -> None:
    """Exit status 0 and two files in `folder`, or a reason in JSON on standard output. Ends with
    the process `parent`."""
    bounds = Bounds(size)
    sys.setrecursionlimit(2000)
    for encoding in ("ascii", "latin-1", "utf-8-sig", "raw-unicode-escape", "unicode-escape"):
        codecs.lookup(encoding)  # now, as nothing can be imported later
    confine(folder, bounds, seconds)
    if os.getppid() != parent:  # it was gone before this process was tied to it
        sys.exit(1)
    try:
        content = sys.stdin.buffer.read(size + 1)
        if len(content) != size:
            raise Unreadable("it changed while it was read")
        write(parse(content, bounds), folder, bounds)
    except (Refused, Unreadable, TooLarge) as error:
        answer = {"kind": type(error).__name__, "detail": str(error)}
    except MemoryError:
        answer = {"kind": "TooLarge", "detail": "it asked for more memory than a file of its size can need"}
    except RecursionError:
        answer = {"kind": "TooLarge", "detail": "its values are nested too deeply"}
    else:
        answer = {}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
