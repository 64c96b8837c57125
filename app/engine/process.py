"""Engine processes: on which devices, started and kept running. Never imports torch; the engine does, in its own
process."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.desired_state import Wanted, begin
from app.engine.config import EngineConfig
from app.supervisor import Child

NVIDIA = Path("/dev/nvidiactl")  # there if a GPU is; only then torch is asked, which takes seconds
_STOP_SECONDS = 5.0


def engine_devices(devices: str, engines: int) -> list[str]:
    """The device of each engine to start, where `cpu` stands for `engines` engines. `auto` is every GPU that torch can
    use, or else the CPU."""
    names = (_gpus() or ["cpu"]) if devices == "auto" else devices.split(",")
    return [device for name in names for device in ([name] * engines if name == "cpu" else [name])]


def _gpus() -> list[str]:
    """In a process of its own, as torch is not for this one."""
    if not NVIDIA.exists():
        return []
    asked = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [f"cuda:{index}" for index in range(int(asked.stdout or 0))]


class EngineProcess(Child):
    """An engine, which beats, and ends when its standard input does."""

    def __init__(self, config: EngineConfig, *, heartbeat_seconds: float) -> None:
        threads = str(config.threads)
        super().__init__(
            f"engine on {config.device}",
            [sys.executable, "-m", "app.engine", msgspec.json.encode(config).decode()],
            environment={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            silence=heartbeat_seconds,
        )


class EngineProcesses:
    """Several engines that differ in their device alone, each behind a socket of its own in a private `folder`, where
    the file is that says which versions are `wanted`; without it engines load all of the store."""

    def __init__(
        self,
        config: EngineConfig,
        devices: Sequence[str],
        *,
        heartbeat_seconds: float,
        wanted: Wanted | None = None,
    ) -> None:
        self.devices = list(devices)
        self._folder = tempfile.TemporaryDirectory(prefix="unroll-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        if wanted is not None:
            config = msgspec.structs.replace(config, wanted=str(begin(self.folder, wanted)))
        self.endpoints = [f"ipc://{self.folder / f'engine-{index}'}" for index in range(len(devices))]
        self._engines = [
            EngineProcess(
                msgspec.structs.replace(config, endpoint=endpoint, device=device), heartbeat_seconds=heartbeat_seconds
            )
            for endpoint, device in zip(self.endpoints, devices, strict=True)
        ]

    @property
    def pids(self) -> list[int]:
        return [engine.pid for engine in self._engines]

    def stop(self) -> None:
        """Stop all, at the same time, and remove the sockets."""
        stop_all(self._engines, seconds=_STOP_SECONDS)
        self._folder.cleanup()


def stop_all(children: Sequence[Child], *, seconds: float) -> None:
    """Stop all at the same time."""
    stoppers = [threading.Thread(target=child.stop, kwargs={"seconds": seconds}) for child in children]
    for thread in stoppers:
        thread.start()
    for thread in stoppers:
        thread.join()
