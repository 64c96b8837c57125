"""The command line of an import: what the user gave, and what a round of questions adds."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from app.cli.program import program

_PLACES = {  # of parameters that the user gives once or several times
    "checkpoints": "--checkpoint",
    "vocabularies": "--vocab",
    "settings": "--set",
    "scalers": "--scaler",
    "layout": "--layout",
    "labels": "--labels",
    "features": "--features",
    "targets": "--targets",
    "languages": "--languages",
    "task": "--task",
    "store": "--store",
    "version": "--version",
    "licence": "--licence",
    "into": "--into",
}


def command_line(parameters: Mapping[str, Any], given: Sequence[str], added: Sequence[str]) -> str:
    """The whole command with the arguments that the user gave and those that are added, ready to be copied. `given` are
    the names of the parameters that the user set."""
    words = ["import", "--name", parameters["name"]]
    for name, flag in _PLACES.items():
        value = parameters.get(name)
        if name not in given or value in (None, "", ()) or (name == "layout" and "--layout" in added):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [flag, str(one)]
    if parameters.get("default"):
        words.append("--default")
    return f"{program()} {shlex.join([*words, *added])}"
