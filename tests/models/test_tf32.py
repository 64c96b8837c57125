"""Threads that share torch's switch for TF32: one computes with the products that it wants, whatever others want."""

import threading
from collections.abc import Iterator

import pytest
import torch

from app.models.serving.tf32 import products_in_tf32

_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    with products_in_tf32(False):
        pass


def switch() -> bool:
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32
    return torch.backends.cudnn.allow_tf32


def test_a_thread_with_other_products_waits() -> None:
    """As a model that is captured beside the loop does."""
    seen: list[bool] = []
    entered = threading.Event()

    def capture() -> None:
        with products_in_tf32(True):
            entered.set()
            seen.append(switch())

    thread = threading.Thread(target=capture)
    with products_in_tf32(False):
        thread.start()
        assert not entered.wait(0.05)
        assert not switch()
    thread.join(_SECONDS)
    assert seen == [True]


def test_threads_that_agree_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=_SECONDS)

    def capture() -> None:
        with products_in_tf32(True):
            both.wait()

    thread = threading.Thread(target=capture)
    thread.start()
    with products_in_tf32(True), products_in_tf32(True):
        both.wait()
    thread.join(_SECONDS)
    assert not both.broken


def test_an_error_lets_others_compute() -> None:
    with pytest.raises(ValueError, match="a step"), products_in_tf32(True):
        raise ValueError("a step")
    with products_in_tf32(False):
        assert not switch()


def test_two_threads_never_change_each_others_products() -> None:
    wrong: list[bool] = []

    def compute(allowed: bool) -> None:
        for _ in range(300):
            with products_in_tf32(allowed):
                wrong.extend([allowed] * (switch() != allowed))

    threads = [threading.Thread(target=compute, args=(allowed,)) for allowed in (True, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SECONDS)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)
