"""An engine as a process of its own: `python -m app.engine CONFIG PIPE RESTARTS`, started by `app.engine.process`. On a
CPU it is a fork of `app.engine.template` instead.

It ends when its standard input does, so an engine never outlives the process that started it. It ignores signals to the
whole service, such as Ctrl-C in a terminal: the front end drains first. PIPE is the file descriptor for its heartbeats,
RESTARTS the number of restarts.
"""

# ruff: noqa: E402
import gc

gc.disable()  # imports leave no garbage, and searching them for it takes a seventh of the start; `run` enables it

import logging
import os
import signal
import sys
import threading

import msgspec
import torch

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.heap import share_heap
from app.logs import set_up_logging
from app.models.serving import native
from app.supervisor import heartbeat_into, wait_for_parent_end

log = logging.getLogger("unroll.engine")
_NICE = 10  # on a busy CPU the front end goes first: refusals and health checks take little time


def main() -> None:
    run(msgspec.json.decode(sys.argv[1], type=EngineConfig), heartbeats=int(sys.argv[2]), restarts=int(sys.argv[3]))


def run(config: EngineConfig, *, heartbeats: int, restarts: int) -> None:
    """Be an engine until standard input ends. `heartbeats` is the descriptor of their pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_up_logging(config.log_level, config.log_format)
    os.nice(_NICE)
    share_heap()
    torch.set_num_threads(config.threads)
    if config.is_first and config.device == "cpu" and not restarts and (reason := native.absence()):
        log.warning(
            "the native kernels %s, so models run with those of torch, which are slower: "
            "install a C compiler, then install unroll-serve again",
            reason,
        )
    engine = Engine(config, beat=heartbeat_into(heartbeats), restarts=restarts)

    def stop_with_parent() -> None:
        wait_for_parent_end()
        engine.stop()

    threading.Thread(target=stop_with_parent, daemon=True).start()
    engine.load()
    gc.freeze()
    gc.enable()
    engine.run()


if __name__ == "__main__":
    main()
