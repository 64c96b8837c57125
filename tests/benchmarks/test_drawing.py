"""Drawing costs about as much as greedy decoding."""

from pathlib import Path

import pytest

from app.models.serving import native
from benchmarks.drawing import WAYS, endless, tokens_per_cpu_second


@pytest.mark.slow
@pytest.mark.skipif(not native.available(), reason="native kernels not built, or a processor without them")
@pytest.mark.parametrize("key", ["lm-en/1", "translate-en-ko/1"])
def test_drawing_takes_at_most_one_and_a_half_times_as_long(key: str) -> None:
    model = endless(Path(__file__).parents[2] / "model_store" / key)
    rates = {name: tokens_per_cpu_second(model, how, 64) for name, how in WAYS.items()}
    assert min(rates.values()) > rates["greedy"] / 1.5, rates
