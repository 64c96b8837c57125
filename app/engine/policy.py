"""How an engine uses its device: it looks at a CPU after each step, and at a GPU once after a whole unit."""

from dataclasses import dataclass

import torch

_SLOT = 64 * 2**20  # bytes of a GPU for each slot
_FEWEST, _MOST = 64, 1024  # slots
_STEPS_PER_SLOT = 16  # of the budget


@dataclass(frozen=True, slots=True)
class Policy:
    """`looks_each_step`: the host reads the results of each step, and rows that end leave at once. Reading a value of a
    GPU waits for all work that is queued, so there the steps of a unit are queued and then read in one copy.

    `slots` and `budget` are those of an engine whose settings leave the choice to it. `positions` is the longest memory
    of rows that CUDA graphs run; rows with a longer one run apart.
    """

    looks_each_step: bool
    slots: int = _FEWEST
    positions: int = 256

    @property
    def budget(self) -> int:
        return _STEPS_PER_SLOT * self.slots


def policy_of(device: torch.device) -> Policy:
    """The policy of a device."""
    if device.type == "cpu":
        return Policy(looks_each_step=True)
    memory = torch.cuda.get_device_properties(device).total_memory
    return Policy(looks_each_step=False, slots=slots_of(memory))


def slots_of(memory: int) -> int:
    """Slots for a GPU with `memory` bytes: one for each 64 MiB, rounded down to a power of two, from 64 to 1,024."""
    return min(_MOST, max(_FEWEST, 1 << (memory // _SLOT).bit_length() >> 1))


def select(device: torch.device) -> None:
    """Make a GPU the current one of this thread: libraries then start on it, and not on the first GPU."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
