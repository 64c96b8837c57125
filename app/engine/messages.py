"""What front end and engine say to each other: msgpack over ZeroMQ, one message per frame.

Front end to engine: Hello, Submit, Cancel. Engine to front end: Status, Events. The engine knows neither text nor
HTTP: sources are token ids or pixels, answers are scores or token ids.
"""

from typing import Literal

import msgspec

RequestKey = tuple[bytes, int]  # front end, id of the request within it
FinishReason = Literal["stop", "length", "cancelled", "deadline"]


class Message(msgspec.Struct, tag=True, array_like=True):
    """Base of everything that crosses; never changed once made."""


class Tokens(Message):
    """A source of token ids."""

    ids: list[int]


class Pixels(Message):
    """A source image: `size` x `size` RGB bytes, row by row from the top left."""

    size: int
    data: bytes


class Hello(Message):
    """Asks for a Status."""


class Submit(Message):
    """One request item. `id` is unique within its front end, `model` is `name/version`, `max_tokens` 0 for a label."""

    id: int
    model: str
    source: Tokens | Pixels
    max_tokens: int = 0


class Cancel(Message):
    """Stop these; nothing is answered for them any more."""

    ids: list[int]


class Scored(Message):
    """A label was read: the probability of each label, in the manifest's order."""

    id: int
    scores: list[float]


class Emitted(Message):
    """A sentence ended. `log_probs` has one more entry than `tokens` when the end itself was emitted (`stop`)."""

    id: int
    tokens: list[int]
    log_probs: list[float]
    finish_reason: FinishReason


class Failed(Message):
    """The request could not be run; `reason` is for the caller."""

    id: int
    reason: str


Event = Scored | Emitted | Failed


class Events(Message):
    """All that happened in one step of the engine, for one front end."""

    events: list[Event]


class Status(Message):
    """Who the engine is and how it fares. `instance` differs after a restart; `broken` maps a model to a reason;
    `counters` only grow, `gauges` go up and down."""

    instance: str
    models: list[str]
    broken: dict[str, str]
    counters: dict[str, float]
    gauges: dict[str, float]


ToEngine = Hello | Submit | Cancel
ToFrontEnd = Events | Status

encode = msgspec.msgpack.Encoder().encode
decode_to_engine = msgspec.msgpack.Decoder(ToEngine).decode
decode_to_front_end = msgspec.msgpack.Decoder(ToFrontEnd).decode
