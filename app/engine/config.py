"""What an engine is started with: read by the front end's process and by the engine's, so free of torch."""

from typing import Literal

import msgspec

from app.logs import Format


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint` is the ZeroMQ address to bind, `device` a single one; `wanted` is the file that says which versions
    are to be loaded, without it all of the store; the rest are settings of the same names."""

    endpoint: str
    store: str
    wanted: str = ""
    device: str = "auto"
    threads: int = 1
    unit: int = 6
    slots: int = 64
    budget: int = 1024
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    log_level: str = "info"
    log_format: Format = "auto"
