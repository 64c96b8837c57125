"""The cost of a request in cell steps, estimated before it runs.

Front end, client and engine all use these functions: admission, the choice of an engine and the scheduler count alike.
Free of torch.
"""

import math
from typing import NamedTuple, assert_never

from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Embed,
    Explain,
    Forecast,
    Frames,
    Label,
    Pixels,
    Replay,
    Series,
    Source,
    Tag,
    Tokens,
)
from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import RecurrentEncoder
from app.store.forecaster import Forecaster
from app.store.language_model import LanguageModel
from app.store.window_language_model import WindowLanguageModel

IMAGE_STEPS = 256  # cost of a source image, and of each frame
_WINDOW_STEPS = 100  # cell steps of a row of the running batch that reads its window anew
_SLOW_PASS = 2  # cost of a step that keeps its gates, in cell steps
_CAPTION_TOKENS = 20  # usual length of a decoded caption
_TOKENS_PER_SOURCE_TOKEN, _MORE_TOKENS = 2, 8  # longest usual answer to a text: 2 * source + 8


class Cost(NamedTuple):
    """Cell steps to encode the source once, expected cell steps to compute the answer, rows of the running batch, which
    only answers need that are made step by step (a row that reads a long window anew counts as several), and how often
    the source is encoded: again for each row of a forecast whose window moves."""

    encode: int
    answer: int = 0
    rows: int = 0
    readings: int = 1

    @property
    def total(self) -> int:
        return self.readings * self.encode + self.answer

    @property
    def reading(self) -> int:
        """The part of one reading, after which others may pass."""
        return self.encode + self.answer


def cost_of(source: Source, answer: AnswerSpec, architecture: Architecture | None = None) -> Cost:
    """The cost of a request. Without the `architecture` it is that of a network in one direction, which makes a
    forecast step by step."""
    steps = encode_steps(source)
    match answer:
        case Label():
            return Cost(steps, explain_steps(source, answer.explain, architecture) if answer.explain else 0)
        case Decode():
            tokens = answer.beams * min(answer.max_tokens, _likely_tokens(source))
            if isinstance(architecture, WindowLanguageModel):
                rows = answer.beams * math.ceil(architecture.window / _WINDOW_STEPS)
                return Cost(steps, tokens * architecture.window, rows)  # each token reads the window anew
            return Cost(steps, tokens, answer.beams)
        case Forecast():
            return _cost_of_forecast(steps, answer.horizon, architecture)
        case Tag() | Embed():
            return Cost(steps)
        case Replay():
            return Cost(
                1, replay_steps(source, len(answer.inputs), architecture)
            )  # nothing is encoded before its pieces
        case _:
            assert_never(answer)


def encode_steps(source: Source) -> int:
    """Cell steps of encoding."""
    match source:
        case Tokens():
            return len(source.ids)
        case Pixels():
            return IMAGE_STEPS
        case Series():
            return len(source.rows)
        case Frames():
            return IMAGE_STEPS * source.count
        case _:
            assert_never(source)


def explain_steps(source: Source, explain: Explain, architecture: Architecture | None = None) -> int:
    """Cell steps of explaining a label: one pass over the source, or a pass over each of its beginnings where a step
    changes what the network makes of those before it; for activations also a slow pass through the layers up to
    theirs. Frames are read once more."""
    encoder = None if architecture is None else architecture.encoder
    one_pass, directions, anew = True, 1, 0
    if encoder is not None and encoder.kind != "image":
        directions = encoder.recurrence.directions
    if isinstance(architecture, Classifier) and not architecture.explains_in_one_pass:
        one_pass, anew = False, sum(read_anew(source, architecture.encoder))
    steps, again = encode_steps(source), 0
    if isinstance(source, Frames):
        steps, again = source.count, steps
    layers = 0 if explain.layer is None else explain.layer + 1
    passes = steps if one_pass else anew
    return again + passes + _SLOW_PASS * layers * directions * steps


def replay_steps(source: Source, inputs: int, architecture: Architecture | None = None) -> int:
    """Cell steps of reading a source and writing an answer once more, with gates; its decoder has this number of
    `inputs`."""
    steps, layers, of_encoder = encode_steps(source), 1, 1
    if isinstance(architecture, EncoderDecoder | LanguageModel):
        layers, encoder = architecture.decoder.layers, architecture.encoder
        if isinstance(architecture, EncoderDecoder) and encoder.kind != "image":
            of_encoder = encoder.recurrence.layers * encoder.recurrence.directions
        else:
            of_encoder = layers
    read = steps if isinstance(source, Pixels) else _SLOW_PASS * of_encoder * steps
    return read + _SLOW_PASS * layers * inputs


def read_anew(source: Source, encoder: RecurrentEncoder) -> list[int]:
    """The lengths of the beginnings of a source that are read, each by itself, where one pass does not do."""
    if isinstance(source, Tokens) and encoder.kind == "text" and encoder.mask_id is not None:
        return encoder.differing_beginnings([token != encoder.mask_id for token in source.ids])
    steps = source.count if isinstance(source, Frames) else encode_steps(source)
    return list(range(1, steps + 1))


def _cost_of_forecast(steps: int, horizon: int, architecture: Architecture | None) -> Cost:
    """A window that is read anew for each row takes no row of the running batch: it is encoded as any source."""
    if not isinstance(architecture, Forecaster):
        return Cost(steps, horizon, 1)
    if architecture.feedback == "window":
        return Cost(steps, readings=horizon)
    if architecture.is_stepwise:
        return Cost(steps, horizon, 1)
    return Cost(steps, 0 if architecture.decoder is None else architecture.horizon)


def _likely_tokens(source: Source) -> int:
    """Tokens that an answer usually has at most: most end long before `max_tokens`."""
    match source:
        case Tokens():
            return _TOKENS_PER_SOURCE_TOKEN * len(source.ids) + _MORE_TOKENS
        case Pixels() | Frames() | Series():
            return _CAPTION_TOKENS
        case _:
            assert_never(source)
