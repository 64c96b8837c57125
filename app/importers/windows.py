"""Windows of a series: options of the layouts over numbers, and how a series becomes the network's input."""

from collections.abc import Mapping
from typing import Any

from app.importers.general import setting_of
from app.importers.layout import Given, require
from app.importers.options import Option
from app.store.series_input import SeriesInput

_SETTINGS = (
    "window",
    "window_size",
    "lookback",
    "look_back",
    "seq_length",
    "seq_len",
    "sequence_length",
    "input_chunk_length",
    "n_steps",
    "time_step",
    "time_steps",
    "timesteps",
)
SHORT = Option(
    "short",
    "series with fewer steps than the window: refuse, or pad with zeros on the left or the right",
    "refuse",
    ("refuse", "left", "right"),
    assumed=True,
)


def window_option(settings: Mapping[str, Any]) -> Option:
    """The usual value is in the settings of a checkpoint, if they have one."""
    usual = setting_of(settings, _SETTINGS) or "none"
    return Option(
        "window",
        "steps that the network reads: the length of the training's windows; none: all steps of a series",
        usual if usual.isdecimal() or usual == "none" else "none",
        depends="of a longer series only the last steps are read, as in the training",
        readings=("none", "10", "30"),
    )


def series_input(given: Given) -> SeriesInput:
    """By the values of `window` and `short`. Raises ImportFailed."""
    value = given.values.text("window")
    require(
        value == "none" or (value.isdecimal() and 0 < int(value) <= 10_000),
        f"--set window={value}: use none, or a number of steps from 1 to 10000",
    )
    short = given.values.text("short")
    require(value != "none" or short == "refuse", f"--set short={short} needs a window: --set window=STEPS")
    return SeriesInput.model_validate(
        {
            "features": tuple(given.features),
            "targets": tuple(given.targets),
            "window": None if value == "none" else int(value),
            "pad": short,
        }
    )
