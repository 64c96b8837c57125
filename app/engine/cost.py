"""Placeholder until the engine's own."""

from typing import NamedTuple

from app.engine.protocol import IMAGE_STEPS, Decode, Label, Pixels, Tokens


class Cost(NamedTuple):
    encode: int
    decode: int
    rows: int

    @property
    def steps(self) -> int:
        return self.encode + self.decode


def cost_of(source: Tokens | Pixels, request: Label | Decode) -> Cost:
    length = len(source.ids) if isinstance(source, Tokens) else IMAGE_STEPS
    if isinstance(request, Label):
        return Cost(length, 0, 0)
    likely = 2 * length + 8 if isinstance(source, Tokens) else 20
    return Cost(length, min(request.max_tokens, likely) * request.beams, request.beams)
