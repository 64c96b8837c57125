"""BentoML: adaptive batching in each worker.

Its wait is not fixed but learnt; `max_latency_ms` is beyond which requests are refused. Tried: 1, 5 and 60 s. Kept:
60 s, its default; with 1 s it refused captions at 64 clients, and 5 s was not faster.
"""

import os
import sys

from benchmarks.peers.config import config, read_command_line


def main() -> None:
    read_command_line()
    settings = config()
    os.environ |= {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_DEBUG": "False"}
    service = f"benchmarks.peers.servers.bento_service:{'Images' if settings.takes_images else 'Texts'}"
    options = ["--host", "127.0.0.1", "--port", str(settings.port), "--quiet"]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", service, *options])


if __name__ == "__main__":
    main()
