"""Heads that read all steps of a source side by side: their size says how long a source is."""

from dataclasses import replace

from app.importers.chain import Chain
from app.importers.general_options import poolings_of
from app.importers.layout import require
from app.importers.options import Option, OptionValues


def steps_read(chain: Chain) -> int | None:
    """The steps that the head reads side by side, where its size leaves no other pooling."""
    if poolings_of(chain) != ["flatten"] or any(group.kind == "convolution" for group in chain.front):
        return None
    return chain.pooled // chain.width


def of_steps(option: Option, chain: Chain) -> Option:
    """The option for the length of a source, which the size of the head may say."""
    steps = steps_read(chain)
    if steps is None:
        return option
    meaning = f"{option.meaning}. The head reads {steps} steps side by side"
    return replace(option, meaning=meaning, usual=str(steps), choices=(str(steps),), kind="text", readings=())


def check_steps(chain: Chain, values: OptionValues, name: str) -> None:
    """Raises ImportFailed if the head reads another number of steps than the option `name` says."""
    if values.given.get("pooling") != "flatten" or any(group.kind == "convolution" for group in chain.front):
        return
    steps, value = chain.pooled // chain.width, values.text(name)
    require(
        value == str(steps),
        f"--set {name}={value}: pooling flatten reads {steps} steps side by side: use --set {name}={steps}",
    )
