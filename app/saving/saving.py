"""`unroll.save`: a trained network from a training script or a notebook into the model store."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.importing import Conversion, convert, publish
from app.importers.questions import QuestionsOpen
from app.importers.recognition import recognise
from app.importers.request import ImportRequest
from app.importers.vocabularies import WordFile
from app.saving.beside import EXACT, can_compare, difference
from app.saving.calls import Answers
from app.saving.content import checkpoint_in, labels_in, scalers_in, vocabularies_in
from app.saving.missing import ArgumentsMissing
from app.saving.readings import Readings, readings_of
from app.store.listing import newest_version
from app.store.publishing import check_is_free
from app.tasks.registry import CHECKS


@dataclass(frozen=True)
class Saved:
    """A version in the store. `difference` is the largest one between its answers (logits, or scaled numbers) and the
    module's to the same source; None if they were not compared."""

    folder: Path
    difference: float | None
    found: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()

    def __str__(self) -> str:
        compared = (
            "not compared with the module: see docs/importing.md"
            if self.difference is None
            else f"answers as the module does: they differ by {self.difference:.1e} at most"
        )
        store = shlex.quote(str(self.folder.parent.parent))
        lines = [*(f"found: {fact}" for fact in self.found), *(f"usual: {value}" for value in self.usual), compared]
        return "\n".join([*lines, f"wrote {self.folder}; serve it: unroll serve --store {store}"])


def save(
    module: Any,
    *,
    name: str,
    vocabulary: Any = None,
    labels: Any = (),
    scaler: Any = None,
    features: Sequence[str] = (),
    targets: Sequence[str] = (),
    store: str | Path = "model_store",
    version: int | None = None,
    layout: str | None = None,
    usual: bool = False,
    example: Any = None,
    compare: bool = True,
    task: str | None = None,
    default: bool = False,
    languages: tuple[str | None, str | None] = (None, None),
    licence: str = "unknown",
    quiet: bool = False,
    **options: Any,
) -> Saved:
    """Write a live module as a version that `unroll serve` answers with.

    `module`: an `nn.Module`, or a model of Keras. `vocabulary`: a list of words, word 0 first, a dictionary, a file, or
    the object that made the ids; with two vocabularies `{"source": ..., "target": ...}`. `labels`: names in the order
    of the outputs. `scaler`: a fitted scaler of sklearn, its numbers, or words such as "min-max:0,250".
    `options`: the values that `unroll import --set` takes, such as `tokenizer="spaces_lower"` or `window=30`.

    The module runs on a random source, or on `example` (one source, as the module takes it; several arguments in a
    tuple), and the version must answer as it does. What that shows, such as the pooling, is not asked for.
    `compare=False` writes the version without.

    Raises ArgumentsMissing with all keyword arguments that are needed, ImportFailed, VersionExists.
    """
    store = Path(store)
    scalers, in_words = scalers_in(scaler)
    request = ImportRequest(
        name=name,
        checkpoints=(),
        layout=layout,
        settings={option: _word(value) for option, value in options.items()},
        accept_usual=usual,
        labels=labels_in(labels),
        features=tuple(features),
        targets=tuple(targets),
        scalers=in_words,
        task=task,
        default=default,
        version=version or 1 + newest_version(store, name),
        languages=languages,
        licence=licence,
    )
    check_is_free(store, name, request.version)
    checkpoint = checkpoint_in(module)
    checkpoint = replace(checkpoint, scalers={**checkpoint.scalers, **scalers})
    with torch.random.fork_rng(devices=[]):  # the random numbers of a training do not change
        answers = Answers(module, example)
        conversion, known = _converted(answers, checkpoint, request, vocabularies_in(vocabulary), compare=compare)
        differs = _compared(answers, conversion) if compare else None
    CHECKS[conversion.manifest.task](conversion.manifest)
    found = (*known.found, *conversion.found)
    saved = Saved(publish(conversion, store), differs, found, tuple(conversion.usual))
    if not quiet:
        print(saved)
    return saved


def _converted(
    answers: Answers, checkpoint: Checkpoint, request: ImportRequest, files: Sequence[WordFile], *, compare: bool
) -> tuple[Conversion, Readings]:
    checkpoint = replace(
        checkpoint, given=[file.words for file in files], given_contents=[file.content for file in files]
    )
    known = Readings()
    if compare:
        layout, known = _read_as(answers, checkpoint, request, files)
        request = replace(request, layout=layout, settings={**request.settings, **known.values})
    try:
        return convert(checkpoint, request, files), known
    except QuestionsOpen as questions:
        raise ArgumentsMissing(questions, request.name, known.found) from None


def _read_as(
    answers: Answers, checkpoint: Checkpoint, request: ImportRequest, files: Sequence[WordFile]
) -> tuple[str, Readings]:
    """The layout that answers as the module does, of those that fit its tensors; the usual one if none does. A module
    may have the names of a repository's, and not its forward."""
    recognised = recognise(checkpoint, request.layout)
    fitting = [recognised.layout]
    if request.layout is None:
        fitting += [recognise(checkpoint, name).layout for name in recognised.others]
    given = request.settings.keys()
    fitting = [one for one in fitting if given <= {option.name for option in one.options(checkpoint)}] or fitting[:1]
    readings = []
    for layout in fitting:
        readings.append(readings_of(answers, layout, checkpoint, files, request.settings, len(request.targets)))
        if readings[-1].nearest <= EXACT:
            return layout.name, readings[-1]
    return fitting[0].name, readings[0]


def _compared(answers: Answers, conversion: Conversion) -> float | None:
    """None if they cannot be compared. Raises ImportFailed if the answers differ."""
    converted, network = conversion.converted, conversion.network
    if not can_compare(converted):
        return None
    differs = difference(answers, converted, network)
    if math.isinf(differs) and answers.example is None:
        return None
    if not differs <= EXACT:
        raise ImportFailed(
            f"the version would not answer as the module does: answers differ by {differs:.2g}. An option may be wrong "
            f"({conversion.options.describe()}), or the module does something that its tensors do not show. Give "
            "example=, a source as the module takes it, or compare=False to write the version all the same"
        )
    return differs


def _word(value: Any) -> str:
    """The value of an option as on the command line."""
    if value is None:
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
