"""Faults while a model runs: which are about memory, and the events of requests that fail."""

import torch

from app.engine.protocol import Failed
from app.engine.request import Output, Request

NOT_A_NUMBER = "the model computes NaN for this input"
NO_MEMORY = "the engine has too little memory for this request, even alone; send a shorter input"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is about memory, of a GPU or of the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def reason_of(error: BaseException) -> str:
    """The reason that the client gets; the log has the error itself."""
    return f"the engine failed with {type(error).__name__}"


def failed(request: Request, reason: str) -> Output:
    """The last event of a request that cannot be answered."""
    return request, Failed(request.key[1], reason)
