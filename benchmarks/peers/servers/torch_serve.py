"""TorchServe: a Java front end that batches for Python workers; a model archive with a handler of its own.

Tried: a wait of 1, 2, 5 and 20 ms; its usual logs and warnings only (`quiet`). Kept: 2 ms, warnings only; longer waits
cost at few clients, and between the logs the trials do not decide.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.config import Config, config, read_command_line

_WAIT = 2.0
_CONFIGURATION = """
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management}
metrics_address=http://127.0.0.1:{metrics}
grpc_inference_port={grpc}
grpc_management_port={grpc_management}
default_workers_per_model={workers}
disable_system_metrics=true
job_queue_size=1000
default_response_timeout=60
models={{"peer": {{"1.0": {{"defaultVersion": true, "marName": "peer.mar", "minWorkers": {workers}, \
"maxWorkers": {workers}, "batchSize": {batch}, "maxBatchDelay": {wait}, "responseTimeout": 60}}}}}}
load_models=peer.mar
"""
_QUIET = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration>
  <Appenders><Console name="console" target="SYSTEM_ERR"><PatternLayout pattern="%p %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
"""


def main() -> None:
    read_command_line()
    settings = config(wait=_WAIT, variant="quiet")
    folder = Path(tempfile.mkdtemp(prefix="torch_serve-"))
    try:
        raise SystemExit(_run(settings, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(settings: Config, folder: Path) -> int:
    """Make the archive, run the server in the foreground until SIGTERM."""
    handler = Path(__file__).with_name("torch_serve_handler.py")
    archiver = Path(sys.executable).with_name("torch-model-archiver")
    options = ["--model-name", "peer", "--version", "1.0", "--handler", str(handler), "--export-path", str(folder)]
    subprocess.run([str(archiver), *options], check=True)
    management, metrics, grpc, grpc_management = _free_ports(4)
    configuration = folder / "config.properties"
    configuration.write_text(
        _CONFIGURATION.format(
            port=settings.port,
            management=management,
            metrics=metrics,
            grpc=grpc,
            grpc_management=grpc_management,
            workers=settings.workers,
            batch=settings.batch,
            wait=int(settings.wait),
        )
    )
    environment = os.environ | {
        "LOG_LOCATION": str(folder / "logs"),
        "METRICS_LOCATION": str(folder / "logs"),
        "PYTHONPATH": os.getcwd(),
        "TEMP": str(folder),
    }
    command = ["-m", "ts.model_server", "--start", "--foreground", "--ncs", "--disable-token-auth"]
    command += ["--ts-config", str(configuration), "--model-store", str(folder)]
    if settings.variant == "quiet":
        (folder / "log4j2.xml").write_text(_QUIET)
        command += ["--log-config", str(folder / "log4j2.xml")]
    with subprocess.Popen([sys.executable, *command], env=environment, cwd=folder) as server:
        signal.signal(signal.SIGTERM, lambda number, frame: server.terminate())
        return server.wait()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


if __name__ == "__main__":
    main()
