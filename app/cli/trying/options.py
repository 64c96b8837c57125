"""Options that `:set` changes, by the client's table of the task."""

import shlex
from typing import Any, Literal, get_args, get_origin, get_type_hints

from unroll_client import Task

_TRUE, _FALSE = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
_ELSEWHERE = ("model", "version")  # `:model` sets them


def known_options(task: Task[Any]) -> dict[str, tuple[Any, str]]:
    """The type and the description of each option."""
    hints = get_type_hints(task.options, include_extras=True) if task.options else {}
    return {
        name: (kind, text) for name, hint in hints.items() if name not in _ELSEWHERE for kind, text in [get_args(hint)]
    }


def option_value(task: Task[Any], name: str, text: str) -> Any:
    """The value of an option. Raises ValueError, which says what is possible."""
    options = known_options(task)
    if name not in options:
        raise ValueError(f"{task.name} has no option {name}; it has {', '.join(options)}")
    kind, _ = options[name]
    if kind is bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError(f"{name} is on or off")
        return text.lower() in _TRUE
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"{name} is one of {', '.join(get_args(kind))}")
        return text
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{name} is {'a whole number' if kind is int else 'a number'}, not {text}") from None
    return text if kind is str else shlex.split(text)
