"""Engine processes and their devices. Never imports torch: the engine does, in its own process."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import msgspec

from app.desired_state import DesiredState, create_desired_state
from app.engine.config import EngineConfig
from app.engine.forking import NVIDIA, EngineTemplate, engine_variables
from app.supervisor import Start, SupervisedProcess, spawn, stop_all
from app.temporary_folder import service_folder

_STOP_SECONDS = 5.0


def engine_devices(devices: str, engines: int) -> list[str]:
    """The device of each engine to start: `cpu` has `engines` engines, a GPU has one. `auto` is every GPU that torch
    can use, or the CPU without one."""
    names = (_gpus() or ["cpu"]) if devices == "auto" else devices.split(",")
    return [device for name in names for device in ([name] * engines if name == "cpu" else [name])]


def on_device(config: EngineConfig, device: str, cpu_models_memory: int) -> EngineConfig:
    """The configuration for a device. The machine's memory bounds the models of a CPU alone: a GPU has its own."""
    share = cpu_models_memory if device == "cpu" else 0
    return msgspec.structs.replace(config, device=device, models_memory=config.models_memory or share)


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


def _start(config: EngineConfig, template: EngineTemplate | None) -> Start:
    if template is not None and config.device == "cpu":
        return partial(template.fork, config)
    return spawn(
        [sys.executable, "-P", "-m", "app.engine", msgspec.json.encode(config).decode()],
        environment=engine_variables(config.threads),
    )


class EngineProcesses:
    """Several engines that differ in their device alone, and in their memory for models: those on a CPU have
    `cpu_models_memory` unless `config` names another. Each has its own socket in a private `folder`, beside the file of
    the `desired_state`, or is at one of the `endpoints`; without a desired state the engines serve all of the store.
    Those on a CPU are forks of `template`; without one they are programs of their own. `key` is a secret CURVE key."""

    def __init__(
        self,
        config: EngineConfig,
        devices: Sequence[str],
        *,
        heartbeat_seconds: float,
        cpu_models_memory: int = 0,
        desired_state: DesiredState | None = None,
        template: EngineTemplate | None = None,
        endpoints: Sequence[str] | None = None,
        key: bytes | None = None,
    ) -> None:
        self.devices = list(devices)
        self._held = ExitStack()
        self.folder = self._held.enter_context(service_folder())
        if key is not None:
            (self.folder / "key").write_bytes(key)
            config = msgspec.structs.replace(config, key_file=str(self.folder / "key"))
        if desired_state is not None:
            file = create_desired_state(self.folder, desired_state)
            config = msgspec.structs.replace(config, desired_state=str(file))
        self.endpoints = list(
            endpoints or (f"ipc://{self.folder / f'engine-{index}'}" for index in range(len(devices)))
        )
        self._engines = [
            SupervisedProcess(
                f"engine on {device}",
                _start(
                    msgspec.structs.replace(
                        on_device(config, device, cpu_models_memory),
                        endpoint=endpoint,
                        is_first=device not in self.devices[:index],
                    ),
                    template,
                ),
                heartbeat_seconds=heartbeat_seconds,
            )
            for index, (endpoint, device) in enumerate(zip(self.endpoints, devices, strict=True))
        ]

    @property
    def pids(self) -> list[int]:
        return [engine.pid for engine in self._engines]

    def stop(self) -> None:
        """Stop all at the same time, and remove the sockets."""
        stop_all(self._engines, seconds=_STOP_SECONDS)
        self._held.close()
