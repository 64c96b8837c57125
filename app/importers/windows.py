"""Windows of a series: options of the layouts over numbers, and how a series becomes the network's input."""

from app.importers.checkpoint import Checkpoint
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


def window_option(checkpoint: Checkpoint) -> Option:
    """The usual value is in the settings of a checkpoint, if they have one."""
    return Option(
        "window",
        "steps that the network reads: the length of the training's windows; none: all steps of a series",
        str(checkpoint.whole_setting(*_SETTINGS) or "none"),
        kind="whole",
        or_none=True,
        depends="of a longer series only the last steps are read, as in the training",
        readings=("none", "10", "30"),
    )


def series_input(given: Given) -> SeriesInput:
    """By the values of `window` and `short`. Raises ImportFailed."""
    window, short = given.values.number_or_none("window"), given.values.text("short")
    require(window is not None or short == "refuse", f"--set short={short} needs a window: --set window=STEPS")
    return SeriesInput.model_validate(
        {
            "features": tuple(given.features),
            "targets": tuple(given.targets),
            "window": window,
            "pad": short,
        }
    )
