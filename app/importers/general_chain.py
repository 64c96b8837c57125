"""The chain of a checkpoint that has one network of one chain, and what the names around it say about its task."""

import re
from collections.abc import Sequence
from dataclasses import replace

from app.importers.chain import Chain, chain_of
from app.importers.checkpoint import Checkpoint
from app.importers.general_answer import Answer
from app.importers.layout import known
from app.importers.parts import two_labels
from app.importers.structure import structure_of, with_layers
from app.importers.vocabularies import may_be_one_hot

_TAGS = {"tag", "tags", "tagger", "ner", "pos", "upos", "xpos", "entity", "entities", "crf"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def chain_in(checkpoint: Checkpoint) -> Chain | None:
    """None if the checkpoint has no such network."""
    return checkpoint.once(_chain)


def _chain(checkpoint: Checkpoint) -> Chain | None:
    tensors = checkpoint.single
    chain = None if tensors is None else chain_of(structure_of(with_layers(tensors)))
    return None if chain is not None and chain.leftover else chain


def known_chain(checkpoint: Checkpoint) -> Chain:
    """The chain of a checkpoint that a general layout matches."""
    return known(chain_in(checkpoint), "network of one recurrence after the other and a head")


def reads_words(checkpoint: Checkpoint, chain: Chain) -> bool:
    """Whether the source is ids: of an embedding, or one-hot rows of a vocabulary that the files have."""
    return chain.table is not None or is_one_hot(checkpoint, chain)


def is_one_hot(checkpoint: Checkpoint, chain: Chain) -> bool:
    """Whether the inputs are one-hot rows of a vocabulary that the user gave or the files have, rather than numbers."""
    given = any(len(words) == chain.features for words in checkpoint.given)
    return chain.table is None and (given or one_hot_in(checkpoint, chain) is not None)


def one_hot_in(checkpoint: Checkpoint, chain: Chain) -> str | None:
    """The path of the list in the files whose one-hot rows the inputs may be: other lists may be names of columns."""
    lists = checkpoint.vocabularies.items()
    found = (path for path, words in lists if len(words) == chain.features and may_be_one_hot(path, words))
    return next(found, None) if chain.table is None else None


def has_spans(checkpoint: Checkpoint) -> bool:
    """Whether the labels of the files are those of words: spans or parts of speech."""
    lists: Sequence[Sequence[str]] = list(checkpoint.labels.values())
    return any(any(word.startswith(("B-", "I-", "<START>", "NN", "VB")) for word in words) for words in lists)


def tags_in(checkpoint: Checkpoint, chain: Chain) -> bool:
    """Whether the names say: a label for each token, rather than one for all. Shapes do not tell."""
    names = [*map(checkpoint.name_of, checkpoint.labels), *(layer.linear.prefix for layer in chain.head)]
    return has_spans(checkpoint) or any(word.lower() in _TAGS for name in names for word in _WORD.findall(name))


def one_or_two(answer: Answer) -> Answer:
    """With two labels in place of one output."""
    if answer.outputs > 1:
        return answer
    output = {key: tensor for key, tensor in answer.tensors.items() if key.startswith("output.")}
    return replace(answer, tensors={**answer.tensors, **two_labels(output)}, outputs=2)
