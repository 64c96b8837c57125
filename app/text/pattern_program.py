"""A regular expression as a program of steps, for the matching of `linear_pattern`."""

from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

from app.text.pattern_tries import CHARACTERS, CODES, ENDLESS, Unbounded, tries_of

_parser, _compiler = (import_module(f"re.{name}") for name in ("_parser", "_compiler"))
_MOST_STEPS = 200
_MOST_REPEATS = 64
_MOST_AHEAD, _MOST_WAYS = 8, 8  # of a lookaround, which is tried anew at each place


class Step(NamedTuple):
    """A step of a program. `character` reads one that matches; `either` goes on at `next`, or else at `other`."""

    kind: str
    next: int
    other: int = 0
    test: Any = None


class Program:
    """A pattern as steps. Those of lookarounds are programs of their own. Raises ValueError for a part that may take
    quadratic time. `cost` is the number of steps for a character."""

    def __init__(self, tree: Any, pattern: str) -> None:
        self._state, self._pattern = tree.state, pattern
        self._ahead = 0  # steps of lookarounds at one place
        self.groups: int = tree.state.groups
        self.steps: list[Step] = [Step("match", 0)]
        self.start = self._add_all(tree, 0, tree.state.flags)
        self.cost = len(self.steps) + self._ahead

    def first_steps(self) -> list[int]:
        """The steps that may read the first character of a match."""
        seen: set[int] = set()
        waiting, firsts = [self.start], []
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            step = self.steps[number]
            if step.kind == "character":
                firsts.append(number)
                continue
            waiting += [step.next, step.other] if step.kind == "either" else [step.next]
        return firsts

    def _add(self, step: Step) -> int:
        if len(self.steps) == _MOST_STEPS:
            raise ValueError(f"{self._pattern!r} is too large; write it as several replacements")
        self.steps.append(step)
        return len(self.steps) - 1

    def _add_all(self, nodes: Any, after: int, flags: int) -> int:
        for code, value in reversed(list(nodes)):
            after = self._add_node(code, value, after, flags)
        return after

    def _add_node(self, code: Any, value: Any, after: int, flags: int) -> int:
        """The number of the first step of a node; `after` is that of the step behind it."""
        if code in CHARACTERS or code is CODES.AT:
            test = _compiler.compile(_parser.SubPattern(self._state, [(code, value)]), flags)
            return self._add(Step("at" if code is CODES.AT else "character", after, test=test))
        if code in (CODES.MAX_REPEAT, CODES.MIN_REPEAT):
            return self._add_repeat(value, after, flags, is_lazy=code is CODES.MIN_REPEAT)
        if code is CODES.BRANCH:
            first, *others = (self._add_all(branch, after, flags) for branch in reversed(value[1]))
            for branch in others:
                first = self._add(Step("either", branch, first))
            return first
        if code is CODES.SUBPATTERN:
            group, added, removed, body = value
            if group is None:
                return self._add_all(body, after, (flags | added) & ~removed)
            end = self._add(Step("mark", after, 2 * group + 1))
            return self._add(Step("mark", self._add_all(body, end, (flags | added) & ~removed), 2 * group))
        if code in (CODES.ASSERT, CODES.ASSERT_NOT):
            direction, body = value
            least, most = body.getwidth()
            self._ahead += (most + 1) * self._ways_of(body, most)
            inner = self._add_all(body, 0, flags)
            test = code is CODES.ASSERT, least if direction < 0 else 0
            return self._add(Step("look", after, inner, test))
        raise ValueError(f"{self._pattern!r} has a part that may take quadratic time: {str(code).lower()}")

    def _ways_of(self, body: Any, most: int) -> int:
        """In how many ways a lookaround may match at one place. Raises ValueError for too many."""
        ways = _MOST_WAYS + 1
        with suppress(Unbounded):
            ways = tries_of(body, is_last=False)
        if most > _MOST_AHEAD or ways > _MOST_WAYS:
            raise ValueError(
                f"{self._pattern!r} looks ahead without a limit of {_MOST_AHEAD} characters and {_MOST_WAYS} ways of "
                "matching, which takes long"
            )
        return ways

    def _add_repeat(self, value: Any, after: int, flags: int, *, is_lazy: bool) -> int:
        least, most, body = value
        if body.getwidth()[0] == 0 or least > _MOST_REPEATS or (most is not ENDLESS and most > _MOST_REPEATS):
            raise ValueError(
                f"{self._pattern!r} repeats a part that may match nothing, or more than {_MOST_REPEATS} times"
            )
        if most is ENDLESS:
            loop = self._add(Step("either", after, after))
            first = self._add_all(body, loop, flags)
            self.steps[loop] = Step("either", after, first) if is_lazy else Step("either", first, after)
            after = loop
        else:
            end = after
            for _ in range(most - least):
                first = self._add_all(body, after, flags)
                after = self._add(Step("either", end, first) if is_lazy else Step("either", first, end))
        for _ in range(least):
            after = self._add_all(body, after, flags)
        return after
