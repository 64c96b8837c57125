"""The cost of a request in cell steps, estimated before it runs, and the check that a model can take it.

Front end, client and engine all use these functions: admission, the choice of an engine and the scheduler count alike.
Free of torch.
"""

from typing import NamedTuple, assert_never

from app.engine.protocol import AnswerSpec, Decode, Explain, Label, Pixels, Source, Tokens
from app.errors import ContradictoryOptions, EngineFailed
from app.store.architecture import Classifier, EncoderDecoder, LanguageModel
from app.store.manifest import Manifest

IMAGE_STEPS = 256  # cost of a source image
MAX_ALTERNATIVES = 20
_SLOW_PASS = 2  # cost of a step that keeps its gates, in cell steps
_CAPTION_TOKENS = 20  # usual length of a decoded caption
_TOKENS_PER_SOURCE_TOKEN, _MORE_TOKENS = 2, 8  # longest usual answer to a text: 2 * source + 8


class Cost(NamedTuple):
    """Cell steps to encode the source, expected cell steps to compute the answer, and rows of the running batch, which
    only decoding needs."""

    encode: int
    answer: int = 0
    rows: int = 0

    @property
    def total(self) -> int:
        return self.encode + self.answer


def cost_of(source: Source, answer: AnswerSpec, *, directions: int = 1) -> Cost:
    """The cost of a request. `directions` of the encoder matter to an explained label alone."""
    steps = encode_steps(source)
    match answer:
        case Label():
            return Cost(steps, explain_steps(steps, directions, answer.explain) if answer.explain else 0)
        case Decode():
            return Cost(steps, answer.beams * min(answer.max_tokens, _likely_tokens(source)), answer.beams)
        case _:
            assert_never(answer)


def encode_steps(source: Source) -> int:
    """Cell steps of encoding."""
    match source:
        case Tokens():
            return len(source.ids)
        case Pixels():
            return IMAGE_STEPS
        case _:
            assert_never(source)


def explain_steps(tokens: int, directions: int, explain: Explain) -> int:
    """Cell steps of explaining a label: one pass over the tokens, or with two directions a pass over each prefix; for
    activations also a slow pass through the layers up to theirs."""
    layers = 0 if explain.layer is None else explain.layer + 1
    return (tokens if directions == 1 else tokens * (tokens + 1) // 2) + _SLOW_PASS * layers * directions * tokens


def directions_of(manifest: Manifest) -> int:
    """Directions in which the model reads a text; 1 for images."""
    encoder = manifest.architecture.encoder
    return encoder.recurrence.directions if encoder.kind == "text" else 1


def _likely_tokens(source: Source) -> int:
    """Tokens that an answer usually has at most: most end long before `max_tokens`."""
    match source:
        case Tokens():
            return _TOKENS_PER_SOURCE_TOKEN * len(source.ids) + _MORE_TOKENS
        case Pixels():
            return _CAPTION_TOKENS
        case _:
            assert_never(source)


def check(manifest: Manifest, source: Source, answer: AnswerSpec, *, slots: int) -> None:
    """Raises EngineFailed if the model cannot take the source or give the answer, and ContradictoryOptions for a search
    that is too wide."""
    architecture = manifest.architecture
    match architecture:
        case Classifier():
            if not isinstance(answer, Label):
                raise EngineFailed(f"{manifest.key} answers with a label; it cannot decode tokens")
        case EncoderDecoder() | LanguageModel():
            if not isinstance(answer, Decode):
                raise EngineFailed(f"{manifest.key} decodes tokens; it cannot answer with a label")
            _check_decode(manifest.key, architecture.decoder.vocabulary_size, answer, slots)
        case _:
            assert_never(architecture)
    _check_source(manifest, source)


def _check_source(manifest: Manifest, source: Source) -> None:
    match source:
        case Tokens():
            encoder = manifest.architecture.encoder
            if encoder.kind != "text":
                raise EngineFailed(f"{manifest.key} reads images, not tokens")
            if not source.ids or not 0 <= min(source.ids) <= max(source.ids) < encoder.vocabulary_size:
                raise EngineFailed(
                    f"{manifest.key} needs at least one token id, each from 0 to {encoder.vocabulary_size - 1}"
                )
        case Pixels():
            image = manifest.image
            if image is None:
                raise EngineFailed(f"{manifest.key} reads tokens, not images")
            if source.size != image.size or len(source.data) != 3 * source.size**2:
                raise EngineFailed(f"{manifest.key} needs an image of {image.size} x {image.size} RGB pixels")
        case _:
            assert_never(source)


def _check_decode(key: str, vocabulary: int, decode: Decode, slots: int) -> None:
    beams = min(slots, vocabulary // 2)
    if decode.beams > beams:
        detail = f"beams is {decode.beams}, but {key} searches with at most {beams} here: set beams to {beams} or less"
        raise ContradictoryOptions(detail, options=["beams"])
    if decode.max_tokens < 1 or not 1 <= decode.n_best <= decode.beams or decode.alternatives > MAX_ALTERNATIVES:
        raise EngineFailed(
            f"a request needs max_tokens from 1, n_best from 1 to beams, and at most {MAX_ALTERNATIVES} alternatives"
        )
    given = decode.prefix if decode.first is None else [decode.first, *decode.prefix]
    if given and not 0 <= min(given) <= max(given) < vocabulary:
        raise EngineFailed(f"{key} decodes tokens from 0 to {vocabulary - 1}; first or prefix has others")
