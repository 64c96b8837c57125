"""Whether the parts of a manifest fit its network."""

from collections.abc import Iterable
from typing import assert_never

from app.store.classifier import Classifier
from app.store.description import Description
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster
from app.store.image_encoder import ImageEncoder
from app.store.language_model import LanguageModel
from app.store.tagger import Tagger
from app.store.text_input import FixedLength
from app.store.window_language_model import WindowLanguageModel

_MOST_SLOW_STEPS = 50_000  # of one source, through all layers whose steps are computed one by one


def check_parts(manifest: Description) -> None:
    """Raises ValueError for a manifest whose parts do not fit its network."""
    is_of_texts = (manifest.source, manifest.answer, manifest.continues) == ("text", "tokens", False)
    if manifest.target_tokenizer is not None and not is_of_texts:
        raise ValueError("only a network from text to other text takes a target_tokenizer")
    if manifest.one_sentence and not is_of_texts:
        raise ValueError("only a network from text to other text takes one_sentence")
    if manifest.registers is not None and not is_of_texts:
        raise ValueError("only a network from text to other text takes registers")
    if manifest.confidence is not None and manifest.answer != "tokens":
        raise ValueError("only a network that answers with tokens takes confidence")
    _check_answer(manifest)
    _check_source(manifest)
    _check_window(manifest)
    _check_ids(manifest)


def _check_answer(manifest: Description) -> None:
    architecture = manifest.architecture
    match architecture:
        case Classifier() | Tagger():
            if len(manifest.labels) != architecture.labels:
                words = architecture.kind
                raise ValueError(f"the {words} has {architecture.labels} labels, and 'labels' {len(manifest.labels)}")
        case Forecaster():
            if manifest.series is None or len(manifest.series.targets) != architecture.targets:
                raise ValueError(f"the forecaster has {architecture.targets} targets; name as many in series.targets")
            features, targets = manifest.series.features, manifest.series.targets
            decoder = architecture.decoder if architecture.is_fed else None
            fed = decoder is not None and decoder.first_input == "last"
            if architecture.feedback != "none" and targets != features:
                raise ValueError("feedback needs targets equal to the features: names, scaling and order")
            if architecture.feedback == "window" and manifest.series.window is None:
                raise ValueError("feedback 'window' needs series.window")
            if fed and not set(targets) <= set(features):
                raise ValueError("first_input 'last' needs targets that are features, with the same scaling")
            if manifest.series.pad == "right" and (fed or architecture.feedback != "none"):
                raise ValueError(
                    "series.pad 'right' puts padding between a short series and the row after it: feedback and "
                    "first_input 'last' need pad 'left' or 'refuse'"
                )
        case LanguageModel() | WindowLanguageModel():
            _check_decoding(manifest)
            if manifest.tokenizer is not None and (manifest.tokenizer.reverse or manifest.tokenizer.length):
                raise ValueError("a language_model continues the end of a text: no tokenizer.reverse, no length")
        case EncoderDecoder():
            _check_decoding(manifest)
        case _:
            assert_never(architecture)


def _check_source(manifest: Description) -> None:
    encoder = manifest.architecture.encoder
    size = features = None
    match encoder:
        case TextEncoder():
            pass
        case ImageEncoder():
            size = encoder.image_size
        case FramesEncoder():
            size = encoder.image.image_size
        case SeriesEncoder():
            features = encoder.features
        case _:
            assert_never(encoder)
    if size != (manifest.image.size if manifest.image else None):
        raise ValueError("an image encoder needs 'image' of its own image_size; no other network has one")
    if features != (len(manifest.series.features) if manifest.series else None):
        raise ValueError("a series encoder needs 'series' with as many features as it reads; no other network has it")
    if isinstance(encoder, SeriesEncoder) and encoder.transposed not in (
        None,
        manifest.series and manifest.series.window,
    ):
        raise ValueError(f"encoder.transposed is {encoder.transposed}: series.window must be the same")
    if manifest.frames is not None and not isinstance(encoder, FramesEncoder):
        raise ValueError("only a network over frames takes 'frames'")
    reads_tokens = isinstance(encoder, TextEncoder) or manifest.answer == "tokens"
    if reads_tokens != (manifest.tokenizer is not None):
        raise ValueError("a network that reads texts or decodes tokens needs 'tokenizer'; no other network has one")


def _check_window(manifest: Description) -> None:
    """Every source has the steps that the network needs, and the length for which a network was made that lays its
    steps side by side."""
    architecture, least = manifest.architecture, manifest.architecture.least_steps
    window = manifest.series.window if manifest.series is not None else manifest.frames
    if window is not None and window < least:
        raise ValueError(f"series.window or frames is {window}, but the network needs {least} steps")
    if manifest.tokenizer is not None and isinstance(architecture.encoder, TextEncoder):
        _check_length(manifest, manifest.tokenizer.length, least)
    _check_slow_cells(manifest)
    if not isinstance(architecture, Classifier | Forecaster) or "flatten" not in architecture.pooling:
        return
    length = manifest.frames
    if manifest.series is not None:
        length = manifest.series.window
    elif manifest.tokenizer is not None:
        length = None if manifest.tokenizer.length is None else manifest.tokenizer.length.to
    if length != architecture.window:
        raise ValueError(
            f"pooling 'flatten' reads {architecture.window} steps: series.window, frames or the length of "
            "'tokenizer' must be the same"
        )


def _check_slow_cells(manifest: Description) -> None:
    """One source does not hold the engine for long, although its steps are computed one by one."""
    encoder, steps = manifest.architecture.encoder, manifest.fixed_source
    if isinstance(encoder, ImageEncoder) or steps is None or encoder.is_divisible:
        return
    slow = encoder.slow_layers
    if slow * steps > _MOST_SLOW_STEPS:
        raise ValueError(
            f"every source has {steps} steps, through {slow} layers of cells that torch.nn does not compute; the "
            f"limit is {_MOST_SLOW_STEPS // slow} steps"
        )


def _check_length(manifest: Description, length: FixedLength | None, least: int) -> None:
    """Some text is long enough for the network, and short enough for the limit."""
    most = manifest.limits.source_tokens
    if length is not None and length.to < least:
        raise ValueError(f"tokenizer.length.to is {length.to}, but the network needs {least} tokens")
    if most is not None and most < least:
        raise ValueError(f"limits.source_tokens is {most}, but the network needs {least} tokens")
    if length is not None and length.pad is not None and most is not None and length.to > most:
        raise ValueError(f"tokenizer.length pads every text to {length.to} tokens, but limits.source_tokens is {most}")


def _check_decoding(manifest: Description) -> None:
    if manifest.decoding is None:
        raise ValueError("a network that answers with tokens needs 'decoding'")
    if manifest.decoding.replace_unknown is not None:
        _check_replacing(manifest, manifest.decoding.replace_unknown)


def _check_replacing(manifest: Description, unknown: int) -> None:
    """An unknown word has one source word with the highest attention, and shows in the text."""
    architecture, use = manifest.architecture, manifest.target_tokenizer or manifest.tokenizer
    chooses = isinstance(architecture, EncoderDecoder) and architecture.decoder.attention.chooses
    if not chooses or not isinstance(architecture.encoder, TextEncoder) or not architecture.encoder.keeps_steps:
        raise ValueError(
            "decoding.replace_unknown needs attention that chooses among the tokens of a text: leave it out"
        )
    if use is not None and unknown in use.hidden:
        raise ValueError("decoding.replace_unknown is a hidden id, which no text shows")


def _check_ids(manifest: Description) -> None:
    """Every id that the manifest names is one of the network's."""
    use, decoding = manifest.tokenizer, manifest.decoding
    if use is None:
        return
    pad = () if use.length is None or use.length.pad is None else (use.length.pad,)
    unknown = (use.unknown,) if isinstance(use.unknown, int) else ()
    _check_within("tokenizer", manifest.source_vocabulary, (*use.prepend, *use.append, *pad, *unknown))
    if manifest.registers is not None:
        _check_within("registers", manifest.source_vocabulary, manifest.registers.tokens.values())
    if manifest.target_tokenizer is None:
        _check_within("tokenizer.hidden", manifest.target_vocabulary, use.hidden)
    else:
        _check_within("target_tokenizer.hidden", manifest.target_vocabulary, manifest.target_tokenizer.hidden)
    if decoding is not None:
        end = () if decoding.fixed_steps else (decoding.eos,)
        excluded = {*decoding.suppress, *decoding.forbidden}
        replaced = () if decoding.replace_unknown is None else (decoding.replace_unknown,)
        _check_within("decoding", manifest.target_vocabulary, (decoding.bos, *end, *replaced, *excluded))
        if len(excluded) == manifest.target_vocabulary:
            raise ValueError("decoding.suppress and decoding.forbidden leave no token to decode")


def _check_within(where: str, size: int, ids: Iterable[int]) -> None:
    beyond = next((token for token in ids if not 0 <= token < size), None)
    if beyond is not None:
        raise ValueError(f"{where} has the id {beyond}; the ids of this network are 0 to {size - 1}")
