"""Unroll itself, with its default settings, on the CPU."""

import os
import sys
from pathlib import Path

from benchmarks.peers.config import config, read_command_line


def main() -> None:
    read_command_line()
    settings = config()
    unroll = Path(sys.executable).with_name("unroll")
    store = settings.folder.parent.parent
    options = ["--port", str(settings.port), "--store", str(store), "--devices", "cpu", "--log-level", "warning"]
    os.execv(unroll, [str(unroll), "serve", *options])


if __name__ == "__main__":
    main()
