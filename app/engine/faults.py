"""Faults while a model runs: which are about memory, and which requests fail.

Whatever a request makes happen is its own error. Work for several requests that fails is done again for each half of
them, down to the request that causes it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from app.engine.protocol import Failed
from app.engine.request import Output, Request

log = logging.getLogger("unroll.engine")
NOT_FINITE = "the model computes numbers that are not finite for this input"
NO_MEMORY = "the engine has too little memory for this request, even alone; send a shorter input"
NO_MEMORY_FOR_ALL = "the engine has too little memory for the requests that run; retry later"
_ABOUT_MEMORY = (
    "can't allocate memory",  # torch, of the host
    "out of memory",  # CUDA itself, outside torch's allocator
    "_ALLOC_FAILED",  # cuBLAS, cuDNN and others of NVIDIA's libraries
    "_ALLOCATION_FAILED",  # cuDNN 9
    "CUBLAS_STATUS_NOT_INITIALIZED",  # cuBLAS and cuDNN without memory for their own state
    "CUDNN_STATUS_NOT_INITIALIZED",
)
Item = TypeVar("Item")
Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is about memory, of a GPU or of the host. Libraries of a GPU allocate beside torch, and torch
    raises their failures as a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ABOUT_MEMORY)


def is_of_device(error: BaseException, device: torch.device) -> bool:
    """Whether an error may be one of the GPU itself: no later work of this process can be trusted then."""
    return device.type != "cpu" and isinstance(error, RuntimeError) and not is_out_of_memory(error)


def reason_of(error: BaseException, no_memory: str = NO_MEMORY) -> str:
    """The reason that the client gets; the log has the error itself."""
    return no_memory if is_out_of_memory(error) else f"the engine failed with {type(error).__name__}"


def failed(request: Request, reason: str) -> Output:
    """The last event of a request that cannot be answered."""
    return request, Failed(request.key[1], reason)


def failed_alone(request: Request, error: Exception) -> Output:
    """The last event of a request whose own work ends in an error."""
    _log_error(request.model, error)
    return failed(request, reason_of(error))


def failed_among_others(request: Request, error: Exception) -> Output:
    """The last event of a request that an error of work for all that run ends."""
    _log_error(request.model, error)
    return failed(request, reason_of(error, NO_MEMORY_FOR_ALL))


def refused(number: int, model: str, error: Exception) -> Failed:
    """The answer to a message that ends in an error before it is a request."""
    _log_error(model, error)
    return Failed(number, reason_of(error))


def _log_error(model: str, error: Exception) -> None:
    log.error("a request of %s failed", model, exc_info=error)


def in_halves(
    items: Sequence[Item],
    run: Callable[[Sequence[Item]], list[Result]],
    alone: Callable[[Item, Exception], Result],
    on_error: Callable[[Exception], None],
) -> list[Result]:
    """The results of `run`: for all items at once; if that fails, for each half. An item with which it fails `alone`
    has that result. `on_error` sees every error, and raises it if nothing more can be done."""
    if not items:
        return []
    try:
        return run(items)
    except Exception as error:
        on_error(error)
        if len(items) == 1:
            return [alone(items[0], error)]
    half = len(items) // 2
    return in_halves(items[:half], run, alone, on_error) + in_halves(items[half:], run, alone, on_error)
