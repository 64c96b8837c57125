"""SIGTERM seen from the app, whoever runs it: the probes say at once that the service is about to end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_stop_signal(drain: Callable[[], None]) -> Iterator[None]:
    """Call `drain` at SIGTERM and SIGINT before whoever handled them; only a process's main thread may ask for that.

    uvicorn looks only at its next tick whether it has been told to end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def drain_first(number: int, frame: FrameType | None) -> None:
        drain()
        then = handled[signal.Signals(number)]
        if callable(then):
            then(number, frame)

    ours = {number: then for number, then in handled.items() if callable(then)}  # the others end the process as it is
    for number in ours:
        signal.signal(number, drain_first)
    try:
        yield
    finally:
        for number, then in ours.items():
            if signal.getsignal(number) is drain_first:
                signal.signal(number, then)
