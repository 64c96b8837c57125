"""Regular expressions of Python's `re` that take time linear in the length of a text, for cleaning rules of imported
models.

`re` itself tries a pattern such as `<[^>]+>` anew at every `<`, which takes quadratic time, or exponential time for
others. A pattern that cannot do so is left to `re`. Every other one is matched here by backtracking that remembers at
which place each step of the pattern has failed: it never tries the same step at the same place twice.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

_parser, _compiler, _codes = (import_module(f"re.{name}") for name in ("_parser", "_compiler", "_constants"))
_CHARACTERS = (_codes.LITERAL, _codes.NOT_LITERAL, _codes.ANY, _codes.IN)
_MOST_TRIES = 64  # ways in which `re` may match at one place
_MOST_STEPS = 200
_MOST_REPEATS = 64
_MOST_AHEAD, _MOST_WAYS = 8, 8  # of a lookaround, which is tried anew at each place
_MOST_KNOWN = 4096  # letters of which a step remembers whether it reads them
_ENDLESS = _codes.MAXREPEAT


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
        self._program = None if _is_simple(tree) else _Program(tree, pattern)
        self.cost = self._program.cost if self._program is not None else 0  # steps for a character; none if `re` reads
        self.group_count = self._compiled.groups
        self.group_names = self._compiled.groupindex

    def matches(self, text: str) -> Iterator[Match]:
        """The matches that `re.finditer` finds."""
        if self._program is not None:
            yield from self._program.matches(text)
            return
        for found in self._compiled.finditer(text):
            yield Match(*found.span(), (found[0], *(group or "" for group in found.groups())))


def _is_simple(tree: Any) -> bool:
    """Whether `re` looks at a bounded number of characters behind each place before it fails there."""
    try:
        return _tries(tree, is_last=True) <= _MOST_TRIES
    except _Unbounded:
        return False


class _Unbounded(Exception):
    """Parts of a pattern before its end have no greatest length."""


def _tries(nodes: Any, *, is_last: bool) -> int:
    """In how many ways the nodes may match at one place. Raises _Unbounded."""
    tries = 1
    for number, (code, value) in enumerate(nodes):
        last = is_last and number == len(nodes) - 1
        if code in _CHARACTERS or code is _codes.AT:
            continue
        if code in (_codes.MAX_REPEAT, _codes.MIN_REPEAT):
            least, most, body = value
            if len(body) != 1 or body[0][0] not in _CHARACTERS or least > _MOST_TRIES:
                raise _Unbounded
            if most is _ENDLESS and not last:
                raise _Unbounded
            tries *= 1 if most is _ENDLESS else most - least + 1
        elif code is _codes.SUBPATTERN:
            tries *= _tries(value[3], is_last=last)
        elif code is _codes.BRANCH:
            tries *= sum(_tries(branch, is_last=last) for branch in value[1])
        else:
            raise _Unbounded
    return tries


class _Step(NamedTuple):
    """A step of a program. `character` reads one that matches; `either` goes on at `next`, or else at `other`."""

    kind: str
    next: int
    other: int = 0
    test: Any = None


class _Program:
    """A pattern as steps. Those of lookarounds are programs of their own."""

    def __init__(self, tree: Any, pattern: str) -> None:
        self._state, self._pattern = tree.state, pattern
        self._steps: list[_Step] = [_Step("match", 0)]
        self._known: dict[int, dict[str, bool]] = {}
        self._ahead = 0  # steps of lookarounds at one place
        self._start = self._add_all(tree, 0, tree.state.flags)
        self.cost = len(self._steps) + self._ahead
        self._firsts = self._first_steps()
        self._none = (-1,) * (2 * tree.state.groups)

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

    def _first_steps(self) -> list[int]:
        """The steps that may read the first character of a match."""
        seen: set[int] = set()
        waiting, firsts = [self._start], []
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            step = self._steps[number]
            if step.kind == "character":
                firsts.append(number)
                continue
            waiting += [step.next, step.other] if step.kind == "either" else [step.next]
        return firsts

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

    def _reads(self, number: int, step: _Step, letter: str) -> bool:
        known = self._known.setdefault(number, {})
        if letter not in known:
            if len(known) == _MOST_KNOWN:
                known.clear()
            known[letter] = step.test.match(letter) is not None
        return known[letter]

    def _held(self, step: _Step, text: str, place: int, marks: tuple[int, ...]) -> tuple[int, ...] | None:
        """The ends of groups behind a condition; None if it does not hold at a place."""
        if step.kind == "at":
            return marks if step.test.match(text, place) else None
        wanted, behind = step.test
        found = self._match(step.other, text, place - behind, _Fresh(), marks) if behind <= place else None
        if (found is not None) != wanted:
            return None
        return found[1] if found is not None else marks

    def _add(self, step: _Step) -> int:
        if len(self._steps) == _MOST_STEPS:
            raise ValueError(f"{self._pattern!r} is too large; write it as several replacements")
        self._steps.append(step)
        return len(self._steps) - 1

    def _add_all(self, nodes: Any, after: int, flags: int) -> int:
        for code, value in reversed(list(nodes)):
            after = self._add_node(code, value, after, flags)
        return after

    def _add_node(self, code: Any, value: Any, after: int, flags: int) -> int:
        """The number of the first step of a node; `after` is that of the step behind it."""
        if code in _CHARACTERS or code is _codes.AT:
            test = _compiler.compile(_parser.SubPattern(self._state, [(code, value)]), flags)
            return self._add(_Step("at" if code is _codes.AT else "character", after, test=test))
        if code in (_codes.MAX_REPEAT, _codes.MIN_REPEAT):
            return self._add_repeat(value, after, flags, is_lazy=code is _codes.MIN_REPEAT)
        if code is _codes.BRANCH:
            first, *others = (self._add_all(branch, after, flags) for branch in reversed(value[1]))
            for branch in others:
                first = self._add(_Step("either", branch, first))
            return first
        if code is _codes.SUBPATTERN:
            group, added, removed, body = value
            if group is None:
                return self._add_all(body, after, (flags | added) & ~removed)
            end = self._add(_Step("mark", after, 2 * group + 1))
            return self._add(_Step("mark", self._add_all(body, end, (flags | added) & ~removed), 2 * group))
        if code in (_codes.ASSERT, _codes.ASSERT_NOT):
            direction, body = value
            least, most = body.getwidth()
            self._ahead += (most + 1) * self._ways_of(body, most)
            inner = self._add_all(body, 0, flags)
            test = code is _codes.ASSERT, least if direction < 0 else 0
            return self._add(_Step("look", after, inner, test))
        raise ValueError(f"{self._pattern!r} has a part that may take quadratic time: {str(code).lower()}")

    def _ways_of(self, body: Any, most: int) -> int:
        """In how many ways a lookaround may match at one place. Raises ValueError for too many."""
        ways = _MOST_WAYS + 1
        with suppress(_Unbounded):
            ways = _tries(body, is_last=False)
        if most > _MOST_AHEAD or ways > _MOST_WAYS:
            raise ValueError(
                f"{self._pattern!r} looks ahead without a limit of {_MOST_AHEAD} characters and {_MOST_WAYS} ways of "
                "matching, which takes long"
            )
        return ways

    def _add_repeat(self, value: Any, after: int, flags: int, *, is_lazy: bool) -> int:
        least, most, body = value
        if body.getwidth()[0] == 0 or least > _MOST_REPEATS or (most is not _ENDLESS and most > _MOST_REPEATS):
            raise ValueError(
                f"{self._pattern!r} repeats a part that may match nothing, or more than {_MOST_REPEATS} times"
            )
        if most is _ENDLESS:
            loop = self._add(_Step("either", after, after))
            first = self._add_all(body, loop, flags)
            self._steps[loop] = _Step("either", after, first) if is_lazy else _Step("either", first, after)
            after = loop
        else:
            end = after
            for _ in range(most - least):
                first = self._add_all(body, after, flags)
                after = self._add(_Step("either", end, first) if is_lazy else _Step("either", first, end))
        for _ in range(least):
            after = self._add_all(body, after, flags)
        return after


class _Fresh(dict[int, Any]):
    """The failures of one lookaround, which looks at few places."""

    def __missing__(self, step: int) -> dict[int, int]:
        column = self[step] = _Column()
        return column


class _Column(dict[int, int]):
    def __missing__(self, place: int) -> int:
        return 0
