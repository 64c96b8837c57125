"""What an engine takes from its device: slots, budget, number types of products, and which errors are about memory."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.faults import is_out_of_memory
from app.engine.models import Models
from app.engine.policy import Policy, policy_of, slots_of
from app.engine.protocol import Decode
from app.engine.request import whole
from app.models.networks import EncoderDecoder
from app.models.serving.precision import Precision
from app.models.serving.tf32 import products_in_tf32
from app.models.state import State
from app.store.model_store import open_version
from tests.engine.conftest import QUEUED
from tests.engine.test_encode import request

GIB = 2**30


def test_a_gpu_has_slots_by_its_memory() -> None:
    assert [slots_of(size * GIB) for size in (2, 8, 15, 16, 24, 40, 80, 141)] == [
        64,
        128,
        128,
        256,
        256,
        512,
        1024,
        1024,
    ]
    assert (Policy(looks_each_step=False, slots=1024).budget, policy_of(torch.device("cpu")).budget) == (16_384, 1024)
    assert policy_of(torch.device("cpu")).slots == 64


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: ..."), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_about_memory_are_known(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


class Watched(EncoderDecoder):
    """A network that notes whether products are in TF32 while it steps."""

    def __init__(self, network: EncoderDecoder) -> None:
        torch.nn.Module.__init__(self)
        self.inner, self.encoder, self.decoder, self.config = network, network.encoder, network.decoder, network.config
        self.seen: set[bool] = set()

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32
        self.seen.add(torch.backends.cudnn.allow_tf32)
        return self.inner.step(tokens, state)


def test_each_model_has_its_own_products(tiny_store: Path) -> None:
    """Torch has one switch for the process, and models take turns."""
    key = "translate-en-ko/1"
    networks = []
    precisions: list[Precision] = ["auto", "float32"]
    models = []
    try:
        for precision in precisions:
            loaded = Models(torch.device("cpu"), slots=4, precision=precision, policy=QUEUED)
            loaded.load(open_version(tiny_store / key))
            model = loaded[key]
            assert isinstance(model.network, EncoderDecoder)
            networks.append(Watched(model.network))
            model.network, model.units = networks[-1], None
            models.append(model)
        for turn in range(2):
            for model in models:
                encode(model, [whole(request(turn, key, [5, 6, 7], Decode(3)))])
                decode(model, 2)
    finally:
        with products_in_tf32(False):
            pass
    assert [network.seen for network in networks] == [{True}, {False}]
    assert ["TF32" in model.precision for model in models] == [True, True]
    assert models[1].precision == "float32, TF32 off"
