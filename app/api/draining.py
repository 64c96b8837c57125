"""Draining: at SIGTERM the probes report at once that the service is about to end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_stop_signal(drain: Callable[[], None]) -> Iterator[None]:
    """Call `drain` at SIGTERM and SIGINT, before the previous signal handler. Outside the main thread, which alone may
    handle signals, this does nothing.

    uvicorn's own handler only sets a flag, which uvicorn reads at its next tick.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def drain_first(number: int, frame: FrameType | None) -> None:
        drain()
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    replaced = {
        number: handler for number, handler in previous.items() if callable(handler)
    }  # default ones end the process
    for number in replaced:
        signal.signal(number, drain_first)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            if signal.getsignal(number) is drain_first:
                signal.signal(number, handler)
