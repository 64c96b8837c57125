"""Tests of the engine run twice on this CPU: as on a CPU, and with the code of a GPU.

The second way queues whole units and looks at the rows once after each; a graph is replaced by the calls that it would
record. Serving forms and native kernels of a CPU are off. A fixture with a model that outlives a
test asks for `device_way`.
"""

from collections.abc import Iterator
from typing import Literal

import pytest
import torch

from app.engine import engine, models
from app.engine.policy import Policy
from app.models.serving import native

Way = Literal["cpu", "gpu"]
QUEUED = Policy(looks_each_step=False, positions=32)  # so short that some sources run apart
_LONG = {"test_out_of_memory_halves_the_batch_and_goes_on"}  # the second way is slow
_IN_A_PROCESS = {
    "test_a_stream_of_numbers_goes_on_unbroken_when_its_engine_ends"
}  # which the second way does not reach
_WITH_MODELS = {"Models", "Engine", "engine_in_thread"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = vars(metafunc.module).keys()
    if _WITH_MODELS & names and "QUEUED" not in names:  # a module with that chooses for itself
        name = metafunc.function.__name__
        second = (
            [] if name in _IN_A_PROCESS else [pytest.param("gpu", marks=[pytest.mark.slow] if name in _LONG else [])]
        )
        metafunc.parametrize("device_way", ["cpu", *second], indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def device_way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """The way in which models run on the CPU."""
    chosen: Way = getattr(request, "param", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        if chosen == "gpu":
            for module in (engine, models):
                patch.setattr(module, "policy_of", _queued)
            patch.setattr(native, "available", lambda: False)
        yield chosen


def _queued(device: torch.device) -> Policy:
    assert device.type == "cpu"
    return QUEUED
