"""The configuration of an engine process. Free of torch: the front end's process writes it."""

from typing import Literal

import msgspec

from app.logs import Format


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint` is the ZeroMQ address to bind, `device` a single device. At an address of the network only front ends
    that know the public key to the secret CURVE key in `key_file` can connect, and their link is encrypted.
    `desired_state` is the file that names the versions to serve; without it the engine serves all of the store. The
    first engine of a device logs what holds for all of them (`is_first`). The other members are settings of the same
    names."""

    endpoint: str
    store: str
    key_file: str = ""
    desired_state: str = ""
    device: str = "auto"
    is_first: bool = False
    threads: int = 1
    unit: int = 6
    slots: int = 0  # 0: as the device needs, see `policy`
    budget: int = 0  # the same
    models_memory: int = 0  # bytes; 0 stands for half of what the device has
    precision: Literal["auto", "float32", "float16", "bfloat16", "int8"] = "auto"
    log_level: str = "info"
    log_format: Format = "auto"
