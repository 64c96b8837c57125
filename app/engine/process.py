"""Engine processes and their devices. Never imports torch: the engine does, in its own process."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from app.desired_state import DesiredState, create_desired_state
from app.engine.config import EngineConfig
from app.supervisor import SupervisedProcess, stop_all
from app.temporary_folder import service_folder

NVIDIA = Path("/dev/nvidiactl")  # exists with a GPU; only then torch counts the GPUs, which takes seconds
_STOP_SECONDS = 5.0
_KERNELS = "128"  # that oneDNN keeps, one for each shape of its inputs; its default of 1,024 fills 100 MB in an hour


def engine_devices(devices: str, engines: int) -> list[str]:
    """The device of each engine to start: `cpu` has `engines` engines, a GPU has one. `auto` is every GPU that torch
    can use, or the CPU without one."""
    names = (_gpus() or ["cpu"]) if devices == "auto" else devices.split(",")
    return [device for name in names for device in ([name] * engines if name == "cpu" else [name])]


def _gpus() -> list[str]:
    """Counted in a process of its own, since this one never imports torch."""
    if not NVIDIA.exists():
        return []
    counted = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [f"cuda:{index}" for index in range(int(counted.stdout or 0))]


class EngineProcess(SupervisedProcess):
    """An engine. It sends heartbeats, and ends when its standard input does."""

    def __init__(self, config: EngineConfig, *, heartbeat_seconds: float) -> None:
        threads = str(config.threads)
        super().__init__(
            f"engine on {config.device}",
            [sys.executable, "-m", "app.engine", msgspec.json.encode(config).decode()],
            environment={
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "ONEDNN_PRIMITIVE_CACHE_CAPACITY": _KERNELS,
            },
            heartbeat_seconds=heartbeat_seconds,
        )


def configs_of_engines(
    config: EngineConfig, devices: Sequence[str], endpoints: Sequence[str], cpu_share: int = 0
) -> list[EngineConfig]:
    """The configuration of each engine. `cpu_share` is the `models_memory` of those on a CPU, unless `config` has one;
    an engine on a GPU takes its own share of that GPU."""
    return [
        msgspec.structs.replace(
            config,
            endpoint=endpoint,
            device=device,
            is_first=device not in devices[:index],
            models_memory=config.models_memory or (cpu_share if device == "cpu" else 0),
        )
        for index, (endpoint, device) in enumerate(zip(endpoints, devices, strict=True))
    ]


class EngineProcesses:
    """Several engines that differ in their device, and in the memory of their models (`configs_of_engines`). Each has
    its own socket in a private `folder`, beside the file of the `desired_state`; without one the engines serve all of
    the store."""

    def __init__(
        self,
        config: EngineConfig,
        devices: Sequence[str],
        *,
        heartbeat_seconds: float,
        desired_state: DesiredState | None = None,
        cpu_share: int = 0,
    ) -> None:
        self.devices = list(devices)
        self._held = ExitStack()
        self.folder = self._held.enter_context(service_folder())
        if desired_state is not None:
            file = create_desired_state(self.folder, desired_state)
            config = msgspec.structs.replace(config, desired_state=str(file))
        self.endpoints = [f"ipc://{self.folder / f'engine-{index}'}" for index in range(len(devices))]
        self._engines = [
            EngineProcess(one, heartbeat_seconds=heartbeat_seconds)
            for one in configs_of_engines(config, self.devices, self.endpoints, cpu_share)
        ]

    @property
    def pids(self) -> list[int]:
        return [engine.pid for engine in self._engines]

    def stop(self) -> None:
        """Stop all at the same time, and remove the sockets."""
        stop_all(self._engines, seconds=_STOP_SECONDS)
        self._held.close()
