"""Faults while a model runs: which are about memory, and the events of requests that fail."""

import torch

from app.engine.protocol import Failed
from app.engine.request import Output, Request

NOT_A_NUMBER = "the model computes NaN for this input"
NO_MEMORY = "the engine has too little memory for this request, even alone; send a shorter input"


_ABOUT_MEMORY = (
    "can't allocate memory",  # torch, of the host
    "out of memory",  # CUDA itself, outside torch's allocator
    "_ALLOC_FAILED",  # cuBLAS, cuDNN and others of NVIDIA's libraries
    "_ALLOCATION_FAILED",  # cuDNN 9
    "CUBLAS_STATUS_NOT_INITIALIZED",  # cuBLAS and cuDNN without memory for their own state
    "CUDNN_STATUS_NOT_INITIALIZED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is about memory, of a GPU or of the host. Libraries of a GPU allocate beside torch, and torch
    raises their failures as a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ABOUT_MEMORY)


def reason_of(error: BaseException) -> str:
    """The reason that the client gets; the log has the error itself."""
    return f"the engine failed with {type(error).__name__}"


def failed(request: Request, reason: str) -> Output:
    """The last event of a request that cannot be answered."""
    return request, Failed(request.key[1], reason)
