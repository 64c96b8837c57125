"""Whether a version can take a source and give an answer: checked once, when a request arrives. Free of torch."""

from collections.abc import Sequence
from typing import assert_never

from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Embed,
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
from app.errors import ContradictoryOptions, EngineFailed, counted
from app.store.architecture import WritesTokens
from app.store.classifier import Classifier
from app.store.description import AnswerName, SourceName
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.store.window_language_model import WindowLanguageModel

MAX_ALTERNATIVES = 20
_SOURCES: dict[type[Source], SourceName] = {Tokens: "text", Pixels: "image", Series: "series", Frames: "frames"}
_ANSWERS: dict[type[AnswerSpec], AnswerName] = {
    Label: "label",
    Tag: "tags",
    Decode: "tokens",
    Forecast: "values",
    Embed: "state",
    Replay: "tokens",
}


def check(manifest: Manifest, source: Source, answer: AnswerSpec, *, slots: int) -> None:
    """Raises EngineFailed if the model cannot take the source or give the answer, and ContradictoryOptions for options
    that it cannot take."""
    _check_kinds(manifest, source, answer)
    match answer:
        case Label():
            if answer.explain is not None:
                check_explained(manifest, answer.explain.layer)
        case Decode():
            _check_decode(manifest.key, manifest.target_vocabulary, answer, slots)
        case Forecast():
            check_horizon(manifest, answer.horizon)
        case Embed():
            check_layer(manifest, answer.layer)
        case Replay():
            check_replayed(manifest, answer.layer)
            _check_given(manifest.key, manifest.target_vocabulary, answer.inputs)
        case Tag():
            pass  # it has no option that a model cannot take
        case _:
            assert_never(answer)
    _check_content(manifest, source, least_steps(manifest, answer))


def least_steps(manifest: Manifest, answer: AnswerSpec) -> int:
    """The fewest steps of a source for an answer. What a language model continues is padded, what it embeds is not."""
    architecture = manifest.architecture
    if isinstance(answer, Embed) and isinstance(architecture, WindowLanguageModel):
        return architecture.encoder.least_steps()
    return architecture.least_steps


def _check_kinds(manifest: Manifest, source: Source, answer: AnswerSpec) -> None:
    given, wanted = _SOURCES[type(source)], _ANSWERS[type(answer)]
    if given != manifest.source:
        raise EngineFailed(f"{manifest.key} reads sources of kind {manifest.source}, not {given}")
    if wanted == "state" and manifest.architecture.encoder.kind == "image":
        raise EngineFailed(f"{manifest.key} has no state that sums up a source: it reads an image in one step")
    if wanted not in ("state", manifest.answer):
        raise EngineFailed(f"{manifest.key} gives answers of kind {manifest.answer}, not {wanted}")


def _check_content(manifest: Manifest, source: Source, least: int) -> None:
    match source:
        case Tokens():
            last = manifest.source_vocabulary - 1
            if not source.ids or not 0 <= min(source.ids) <= max(source.ids) <= last:
                raise EngineFailed(f"{manifest.key} needs at least one token id, each from 0 to {last}")
            _check_length(manifest, len(source.ids), least)
        case Pixels():
            _check_images(manifest, source.size, 1, source.data)
        case Frames():
            _check_images(manifest, source.size, source.count, source.data)
            _check_length(manifest, source.count, least)
        case Series():
            _check_series(manifest, source)
            _check_length(manifest, len(source.rows), least)
        case _:
            assert_never(source)


def _check_length(manifest: Manifest, steps: int, least: int) -> None:
    fixed = manifest.architecture.fixed_steps
    if steps < least or (fixed is not None and steps > fixed):
        needed = f"at least {least}" if fixed is None else str(fixed)
        raise EngineFailed(f"{manifest.key} needs sources of {needed} steps, and got {steps}")


def _check_images(manifest: Manifest, size: int, count: int, data: bytes) -> None:
    assert manifest.image is not None  # see `Manifest`
    needed = manifest.image.size
    if count < 1 or size != needed or len(data) != 3 * size**2 * count:
        raise EngineFailed(f"{manifest.key} needs images of {needed} x {needed} RGB pixels, at least one")


def _check_series(manifest: Manifest, source: Series) -> None:
    series, rows = manifest.series, source.rows
    assert series is not None  # see `Manifest`
    columns, row = len(series.features), 4 * len(series.features)
    if rows.columns != columns or not rows.numbers or len(rows.numbers) % row:
        raise EngineFailed(f"{manifest.key} needs rows of {columns} numbers, at least one")
    if series.window is not None and len(rows) != series.window:
        raise EngineFailed(f"{manifest.key} needs {series.window} rows, its window, and got {len(rows)}")


def check_explained(manifest: Manifest, layer: int | None) -> None:
    """Raises ContradictoryOptions if the label of a classifier cannot be explained, with the activations of a layer."""
    architecture = manifest.architecture
    assert isinstance(architecture, Classifier)  # its answers are labels
    if not architecture.explains_steps:
        is_transposed = architecture.encoder.is_transposed
        steps = "feature by feature" if is_transposed else f"at least {architecture.least_steps} steps"
        how = f"reads a window as a whole, {steps}"
        detail = f"{manifest.key} {how}: its label cannot be explained; leave out explain"
        raise ContradictoryOptions(detail, options=["explain"])
    check_layer(manifest, layer)


def check_replayed(manifest: Manifest, layer: int | None) -> None:
    """Raises ContradictoryOptions if a model that writes tokens has no state to show, or no network with such a
    layer."""
    architecture = manifest.architecture
    assert isinstance(architecture, WritesTokens)  # its answers are tokens
    if isinstance(architecture, WindowLanguageModel):
        detail = (
            f"reads its last {architecture.window} tokens anew for each token and keeps no state: leave out explain"
        )
        raise ContradictoryOptions(f"{manifest.key} {detail}", options=["explain"])
    encoder, layers = architecture.encoder, architecture.decoder.layers
    if encoder.kind != "image":
        layers = max(layers, encoder.recurrence.layers)
    _check_layer(manifest, layer, layers)


def check_horizon(manifest: Manifest, horizon: int) -> None:
    """Raises ContradictoryOptions if a model cannot forecast this number of steps."""
    architecture = manifest.architecture
    assert isinstance(architecture, Forecaster)  # its answers are values
    if horizon < 1:
        raise EngineFailed("a forecast needs a horizon of at least 1")
    if not architecture.is_stepwise and horizon > architecture.horizon:
        most = architecture.horizon
        detail = f"horizon is {horizon}; {manifest.name} forecasts at most {most} steps: set it to {most} or less"
        raise ContradictoryOptions(detail, options=["horizon"])


def check_layer(manifest: Manifest, layer: int | None) -> None:
    """Raises ContradictoryOptions if the encoder of a model has no such layer."""
    encoder = manifest.architecture.encoder
    assert encoder.kind != "image"  # it has no state
    _check_layer(manifest, layer, encoder.recurrence.layers)


def _check_layer(manifest: Manifest, layer: int | None, layers: int) -> None:
    if layer is not None and not 0 <= layer < layers:
        raise ContradictoryOptions(
            f"layer is {layer}; {manifest.name} has {counted(layers, 'layer')}, counted from 0", options=["layer"]
        )


def _check_decode(key: str, vocabulary: int, decode: Decode, slots: int) -> None:
    beams = min(slots, vocabulary // 2)
    if decode.beams > beams:
        detail = f"beams is {decode.beams}, but {key} searches with at most {beams} here: set beams to {beams} or less"
        raise ContradictoryOptions(detail, options=["beams"])
    if decode.max_tokens < 1 or not 1 <= decode.n_best <= decode.beams or decode.alternatives > MAX_ALTERNATIVES:
        raise EngineFailed(
            f"a request needs max_tokens from 1, n_best from 1 to beams, and at most {MAX_ALTERNATIVES} alternatives"
        )
    _check_given(key, vocabulary, [*(() if decode.first is None else (decode.first,)), *decode.prefix, *decode.past])


def _check_given(key: str, vocabulary: int, given: Sequence[int]) -> None:
    if given and not 0 <= min(given) <= max(given) < vocabulary:
        raise EngineFailed(f"{key} decodes tokens from 0 to {vocabulary - 1}; other ones were given")
