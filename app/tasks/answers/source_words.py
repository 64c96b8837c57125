"""Words of a source in place of the unknown word of an answer (OpenNMT-py: `-replace_unk`)."""

import re
from collections.abc import Iterator, Sequence
from operator import length_hint

import numpy as np

from app.engine.protocol import Table
from app.tasks.answers.decoding_options import decoding_of
from app.tasks.job import Job


class SourceWords:
    """For each unknown word of an answer the word of the source with the highest attention, as the source spells it.

    `add` takes the tokens of the answer one after the other. Without `decoding.replace_unknown` nothing is replaced.
    """

    def __init__(self, job: Job) -> None:
        self._unknown = decoding_of(job.entry).replace_unknown
        self._words: list[str] = []
        self._put, self._searched, self._used = "", 0, 0  # of a text that grows
        if self._unknown is None:
            return
        read = job.read
        self._spelt = [read.text[piece.start : piece.end] for piece in read.pieces]
        self._places = [place for place, word in enumerate(self._spelt) if word]  # not of what the model adds
        mark = re.escape(job.entry.target_tokenizer.piece(self._unknown).strip())
        self._mark = re.compile(rf"(?<!\S){mark}(?!\S)")

    def add(self, tokens: Sequence[int], attention: Table | None) -> None:
        """The next tokens of the answer, with a row of weights over the source for each."""
        if self._unknown is None or attention is None or not self._places:
            return
        weights = np.frombuffer(attention.numbers, np.float32).reshape(-1, attention.columns)
        for token, row in zip(tokens, weights, strict=False):  # an end token has a row of its own
            if token == self._unknown:
                self._words.append(self._spelt[max(self._places, key=row.__getitem__)])

    def put_into(self, text: str) -> str:
        """The text of these tokens, or of the first of them, with the words in place of the unknown one."""
        if not self._words:
            return text
        return self._replaced(text, iter(self._words))

    def _replaced(self, text: str, words: Iterator[str]) -> str:
        return self._mark.sub(lambda mark: next(words, mark.group()), text)

    def put_into_growing(self, text: str) -> str:
        """`put_into` for a text that begins with the one of the call before: only what is new is searched."""
        if not self._words:
            return text
        words = iter(self._words[self._used :])
        if (end := text.rfind(" ")) > self._searched:  # a space ends a word
            self._put += self._replaced(text[self._searched : end], words)
            self._searched, self._used = end, len(self._words) - length_hint(words)
        return self._put + self._replaced(text[self._searched :], words)
