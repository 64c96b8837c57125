"""Server-sent events out of the bytes of a response (WHATWG HTML, section 9.2.6)."""

import codecs
import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Event:
    """`name` is the field `event`; `data` has the lines of the fields `data`."""

    name: str
    data: str


class EventDecoder:
    """Decodes chunks that may end anywhere, also within a character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text = ""
        self._name = ""
        self._data: list[str] = []

    def decode(self, chunk: bytes) -> list[Event]:
        """The events that the chunk ends."""
        self._text += self._decoder.decode(chunk)
        complete, held = (self._text[:-1], "\r") if self._text.endswith("\r") else (self._text, "")
        *lines, rest = _LINE_END.split(complete)  # a \r at the end may be half of \r\n
        self._text = rest + held
        return [event for line in lines if (event := self._decode_line(line)) is not None]

    def _decode_line(self, line: str) -> Event | None:
        if not line:
            return self._end_event()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None  # a comment, which has no field, or a field that this client does not use

    def _end_event(self) -> Event | None:
        event = Event(self._name, "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event
