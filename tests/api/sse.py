"""A small reader of server-sent events (WHATWG HTML, section 9.2.6)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    name: str
    data: Any


def events_of(text: str) -> list[Event]:
    """The events of a whole stream, without comments. An event without a final blank line is an error."""
    assert text.endswith("\n\n")
    return list(_events(text))


def _events(text: str) -> Iterator[Event]:
    for block in text.removesuffix("\n\n").split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            assert set(fields) == {"event", "data"}
            yield Event(fields["event"], json.loads(fields["data"]))
