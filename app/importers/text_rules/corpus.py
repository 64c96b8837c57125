"""Dictionaries that training code builds again from its corpus."""

from collections.abc import Iterable


def word_language_model_dictionary(*texts: str) -> list[str]:
    """The dictionary of pytorch/examples word_language_model: words of train.txt, valid.txt and test.txt
    in the order in which they first appear, with `<eos>` after each line."""
    words: dict[str, None] = {}
    for text in texts:
        for line in _lines(text):
            words.update(dict.fromkeys([*line.split(), "<eos>"]))
    return list(words)


def _lines(text: str) -> list[str]:
    """The lines of a text file, as Python reads them."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def sorted_words(texts: Iterable[str]) -> list[str]:
    """`sorted(set(words))`, the ids of many word models and of one-hot rows."""
    return sorted({word for text in texts for word in text.split()})
