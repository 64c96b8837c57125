"""Every setting, read once from the environment (prefix `UNROLL_`) or from the command line of `unroll serve`.

Only the roots (`app.main`, `app.cli`) read them; everything else receives small frozen values.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_DEFAULT_ENGINES = 4
NVIDIA = Path("/dev/nvidiactl")  # there if a GPU is; the front end does not import torch to ask


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


class Settings(BaseSettings):
    """Each field is `UNROLL_<NAME>` in the environment and `--<name>` on the command line."""

    model_config = SettingsConfigDict(env_prefix="UNROLL_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is every network interface.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on; 0 takes a free one.")
    store: Path = Field(Path("model_store"), description="Folder with the models to serve: <name>/<version>/.")
    device: str = Field("auto", description="cpu, cuda:0 and so on; auto takes the first GPU if there is one.")
    engines: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description=f"Engine processes; 0 is one per core up to {MAX_DEFAULT_ENGINES} on a CPU, one on a GPU."
    )
    threads: Annotated[int, Field(ge=1, le=256)] = Field(1, description="Torch threads of each engine.")
    unit: Annotated[int, Field(ge=1, le=64)] = Field(
        6, description="Cell steps between two looks at what has arrived, left or been cancelled."
    )
    slots: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="Rows that one model emits at the same time in one engine."
    )
    budget: Annotated[int, Field(ge=1)] = Field(
        4096, description="Padded cell steps of one piece of consuming; an image counts as 512."
    )
    max_pending: Annotated[int, Field(ge=1)] = Field(
        2048, description="Inputs accepted and not yet answered; more are refused with 429."
    )
    max_inputs: Annotated[int, Field(ge=1)] = Field(256, description="Inputs of one request.")
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 1024 * 1024, description="Bytes of one request body; refused while it is being read."
    )
    max_text_chars: Annotated[int, Field(ge=1)] = Field(20_000, description="Characters of one text.")
    max_image_bytes: Annotated[int, Field(ge=1024)] = Field(12 * 1024 * 1024, description="Bytes of one image file.")
    max_image_pixels: Annotated[int, Field(ge=1)] = Field(
        50_000_000, description="Pixels of one image, checked before it is decoded."
    )
    request_seconds: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Longest time for one request, in seconds."
    )
    drain_seconds: Annotated[float, Field(gt=0)] = Field(
        20.0, description="Longest time to finish running requests after SIGTERM, in seconds."
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="Least severe log lines that are written."
    )

    @property
    def engine_count(self) -> int:
        """Engines to start when `engines` is left at 0."""
        if self.engines:
            return self.engines
        on_gpu = self.device.startswith("cuda") or (self.device == "auto" and NVIDIA.exists())
        return 1 if on_gpu else min(available_cores(), MAX_DEFAULT_ENGINES)
