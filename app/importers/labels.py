"""The names of a network's labels: from the command line, from a file, or from the checkpoint."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Needs
from app.importers.numbered import in_short, named_in_short
from app.importers.questions import Question
from app.importers.reading import ForeignObject, Plain, read
from app.importers.vocabularies import words_of

_SHOWN = 8


class Asks(Protocol):
    """A round of questions: see `app.importers.answers.Round`."""

    found: list[str]
    unsure: list[str]

    def ask(self, question: Question) -> str | None: ...


def read_labels(text: str) -> list[str]:
    """`negative,positive`, with quotes around a name that has a comma; or the name of a file with the names in any form
    of a vocabulary. Raises ImportFailed."""
    path = Path(text)
    if text and "," not in text and path.is_file():
        content = read(path)
        labels = _of_encoder(content) or words_of(content)
        if labels is None:
            raise ImportFailed(f"{path.name} has no labels: give a JSON list of names, in the order of the outputs")
        return labels
    if (names := named_in_short(text)) is not None:
        return names
    return [label.strip() for label in next(csv.reader([text], skipinitialspace=True), []) if label.strip()]


def _of_encoder(content: Plain) -> list[str]:
    """The names of a LabelEncoder of sklearn, or of another object that has `classes_`; empty if there are none."""
    classes = content.state.get("classes_") if isinstance(content, ForeignObject) else None
    if isinstance(classes, Tensor):
        classes = [f"{number:g}" for number in classes.flatten().tolist()]
    return [str(one) for one in classes] if isinstance(classes, list) else []


def labels_of(
    needs: Needs, given: Sequence[str], checkpoint: Checkpoint, used: Iterable[Sequence[str]], state: Asks
) -> Sequence[str]:
    """Raises ImportFailed unless the names that the user gives are as many as the network has, and differ."""
    if needs.labels is None:
        return given
    if given:
        check_labels(given, needs.labels)
        return given
    if path := _alone(_whole(checkpoint.labels, checkpoint), needs.labels):
        labels = checkpoint.labels[path]
        state.found.append(f"labels: {', '.join(labels[:_SHOWN])} of {checkpoint.name_of(path)}")
        return labels
    reads = [list(words) for words in used]
    others = {path: words for path, words in checkpoint.vocabularies.items() if words not in reads}
    maybe = _alone(_whole(others, checkpoint), needs.labels)
    usual = (others[maybe] if maybe else needs.usual_labels) or [str(number) for number in range(needs.labels)]
    question = Question(
        "--labels",
        "NAME,NAME",
        f"names of the {needs.labels} labels in the order of the network's outputs, or a file with them",
        usual=_joined(usual),
        count=needs.labels,
        depends="the names in the answers; another order names every answer wrongly"
        + (f". These are those of {checkpoint.name_of(maybe)}, which may be something else" if maybe else ""),
    )
    return usual if state.ask(question) is not None else ()


def check_labels(labels: Sequence[str], count: int) -> None:
    """Raises ImportFailed unless there are `count` different names."""
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        raise ImportFailed(f"two labels have the same name, {repeated!r}: name each in another way")
    if len(labels) != count:
        examples = ["negative", "positive", *map(str, range(2, count))][:count]
        instead = f", not {len(labels)}" if labels else ""
        raise ImportFailed(
            f"the network has {count} labels{instead}: name them in order, for example --labels {','.join(examples)}"
        )


def _alone(lists: Mapping[str, list[str]], count: int) -> str | None:
    """The path of the only list of `count` different words."""
    fitting = {path: words for path, words in lists.items() if len(words) == count}
    if len({tuple(words) for words in fitting.values()}) == 1 and len(set(next(iter(fitting.values())))) == count:
        return next(iter(fitting))
    return None


def _whole(lists: Mapping[str, list[str]], checkpoint: Checkpoint) -> dict[str, list[str]]:
    """The lists whose words all stand in the files: a dictionary from id 1 on gets a word 0 that is no label."""
    whole = {}
    for path, words in lists.items():
        content = checkpoint.contents.get(path)
        entries = [*content.keys(), *content.values()] if isinstance(content, Mapping) else []
        own = {entry for entry in entries if isinstance(entry, str)}.intersection(words)
        if not own or len(own) == len(set(words)):
            whole[path] = words
    return whole


def _joined(labels: Sequence[str]) -> str:
    return in_short([f'"{label}"' if "," in label else label for label in labels])
