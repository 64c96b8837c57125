"""Regular expressions of Python's `re` that take time linear in the length of a text, for cleaning rules of imported
models.

`re` itself tries a pattern such as `<[^>]+>` anew at every `<`, which takes quadratic time, or exponential time for
others. A pattern that cannot do so is left to `re`. Every other one is matched here by backtracking that remembers at
which place each step of the pattern has failed: it never tries the same step at the same place twice.
"""

import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from app.text.pattern_program import Program, Step
from app.text.pattern_tries import is_simple

_parser = import_module("re._parser")
_MOST_KNOWN = 4096  # letters of which a step remembers whether it reads them


class Match(NamedTuple):
    """The characters `text[start:end]`, and the text of each group from group 0 on; "" for one that matched nothing."""

    start: int
    end: int
    groups: tuple[str, ...]


class LinearPattern:
    """A pattern of `re`. Raises ValueError for one that is none, that refers to a group, or that may match nothing."""

    def __init__(self, pattern: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._compiled = re.compile(pattern)
                tree = _parser.parse(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        if tree.getwidth()[0] == 0:
            raise ValueError(f"{pattern!r} may match an empty text; write a pattern that matches a character")
        program = None if is_simple(tree) else Program(tree, pattern)
        self._matcher = None if program is None else _Matcher(program)
        self.cost = 0 if program is None else program.cost  # steps for a character; none if `re` reads
        self.group_count = self._compiled.groups
        self.group_names = self._compiled.groupindex

    def matches(self, text: str) -> Iterator[Match]:
        """The matches that `re.finditer` finds."""
        if self._matcher is not None:
            yield from self._matcher.matches(text)
            return
        for found in self._compiled.finditer(text):
            yield Match(*found.span(), (found[0], *(group or "" for group in found.groups())))


class _Matcher:
    """A program at work on texts."""

    def __init__(self, program: Program) -> None:
        self._steps, self._start = program.steps, program.start
        self._known: dict[int, dict[str, bool]] = {}
        self._firsts = program.first_steps()
        self._none = (-1,) * (2 * program.groups)

    def matches(self, text: str) -> Iterator[Match]:
        failed = [bytearray(len(text) + 1) for _ in self._steps]
        begins = {letter: self._begins(letter) for letter in set(text)}
        place = 0
        while place < len(text):
            found = self._match(self._start, text, place, failed, self._none) if begins[text[place]] else None
            if found is None:
                place += 1
                continue
            end, marks = found
            groups = (text[max(0, a) : max(0, b)] for a, b in zip(marks[2::2], marks[3::2], strict=True))
            yield Match(place, end, (text[place:end], *groups))
            for column in failed:  # the steps that led to this end have not failed
                column[end] = 0
            place = end

    def _begins(self, letter: str) -> bool:
        """Whether a match may begin with a letter."""
        return any(self._reads(number, self._steps[number], letter) for number in self._firsts)

    def _match(
        self, start: int, text: str, place: int, failed: list[bytearray] | dict[int, Any], marks: tuple[int, ...]
    ) -> tuple[int, tuple[int, ...]] | None:
        """The end of the match that begins at a place, and the ends of its groups, which are `marks` so far."""
        waiting = [(start, place, marks)]
        while waiting:
            number, place, marks = waiting.pop()
            while True:
                column = failed[number]
                if column[place]:
                    break
                column[place] = 1
                step = self._steps[number]
                if step.kind == "character":
                    if place == len(text) or not self._reads(number, step, text[place]):
                        break
                    place += 1
                elif step.kind == "either":
                    waiting.append((step.other, place, marks))
                elif step.kind == "mark":
                    marks = (*marks[: step.other], place, *marks[step.other + 1 :])
                elif step.kind == "match":
                    return place, marks
                elif (held := self._held(step, text, place, marks)) is None:
                    break
                else:
                    marks = held
                number = step.next
        return None

    def _reads(self, number: int, step: Step, letter: str) -> bool:
        known = self._known.setdefault(number, {})
        if letter not in known:
            if len(known) == _MOST_KNOWN:
                known.clear()
            known[letter] = step.test.match(letter) is not None
        return known[letter]

    def _held(self, step: Step, text: str, place: int, marks: tuple[int, ...]) -> tuple[int, ...] | None:
        """The ends of groups behind a condition; None if it does not hold at a place."""
        if step.kind == "at":
            return marks if step.test.match(text, place) else None
        wanted, behind = step.test
        found = self._match(step.other, text, place - behind, _Fresh(), marks) if behind <= place else None
        if (found is not None) != wanted:
            return None
        return found[1] if found is not None else marks


class _Fresh(dict[int, Any]):
    """The failures of one lookaround, which looks at few places."""

    def __missing__(self, step: int) -> dict[int, int]:
        column = self[step] = _Column()
        return column


class _Column(dict[int, int]):
    def __missing__(self, place: int) -> int:
        return 0
