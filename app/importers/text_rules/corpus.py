"""Dictionaries that training code builds again from its corpus."""

from collections.abc import Iterable


def word_language_model_dictionary(*texts: str) -> list[str]:
    """That of pytorch/examples word_language_model: words of train.txt, valid.txt and test.txt in the order in which
    they first appear, with `<eos>` after each line."""
    raise NotImplementedError


def one_hot_words(texts: Iterable[str]) -> list[str]:
    """The sorted set of words."""
    raise NotImplementedError
