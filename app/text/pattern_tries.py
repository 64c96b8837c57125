"""In how many ways a part of a regular expression may match at one place, by the tree of Python's `re`."""

from importlib import import_module
from typing import Any

CODES = import_module("re._constants")
CHARACTERS = (CODES.LITERAL, CODES.NOT_LITERAL, CODES.ANY, CODES.IN)
ENDLESS = CODES.MAXREPEAT
_MOST_TRIES = 64  # ways in which `re` may match at one place


class Unbounded(Exception):
    """Parts of a pattern before its end have no greatest length."""


def tries_of(nodes: Any, *, is_last: bool) -> int:
    """In how many ways the nodes may match at one place. Raises Unbounded."""
    tries = 1
    for number, (code, value) in enumerate(nodes):
        last = is_last and number == len(nodes) - 1
        if code in CHARACTERS or code is CODES.AT:
            continue
        if code in (CODES.MAX_REPEAT, CODES.MIN_REPEAT):
            least, most, body = value
            if len(body) != 1 or body[0][0] not in CHARACTERS or least > _MOST_TRIES:
                raise Unbounded
            if most is ENDLESS and not last:
                raise Unbounded
            tries *= 1 if most is ENDLESS else most - least + 1
        elif code is CODES.SUBPATTERN:
            tries *= tries_of(value[3], is_last=last)
        elif code is CODES.BRANCH:
            tries *= sum(tries_of(branch, is_last=last) for branch in value[1])
        else:
            raise Unbounded
    return tries


def is_simple(tree: Any) -> bool:
    """Whether `re` looks at a bounded number of characters behind each place before it fails there."""
    try:
        return tries_of(tree, is_last=True) <= _MOST_TRIES
    except Unbounded:
        return False
