"""The configuration of a server: job and port on the command line, the rest in the environment.

The environment, because the servers start processes of their own in which only it arrives.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

BATCH = {"sentiment": 32, "translate": 32, "caption": 8}  # maximum requests in a batch
FOLDERS = {"sentiment": "sentiment-en/1", "translate": "translate-en-ko/1", "caption": "caption-en/1"}
CONTENT_TYPES = {"sentiment": "application/json", "translate": "application/json", "caption": "image/jpeg"}


@dataclass(frozen=True)
class Config:
    """`batch` and `wait` (milliseconds to wait for a batch to fill) are only for servers that batch; `variant` names
    one of a server's ways of setting it up."""

    job: str
    port: int
    folder: Path
    workers: int
    batch: int
    wait: float
    variant: str

    @property
    def takes_images(self) -> bool:
        return CONTENT_TYPES[self.job].startswith("image/")


def config(*, wait: float = 5.0, variant: str = "") -> Config:
    """The configuration of this process; `wait` and `variant` are the server's tuned ones, unless the environment
    says otherwise."""
    job = os.environ["PEERS_JOB"]
    return Config(
        job=job,
        port=int(os.environ["PEERS_PORT"]),
        folder=Path(os.environ.get("PEERS_FOLDER") or Path("model_store", FOLDERS[job])).resolve(),
        workers=int(os.environ.get("PEERS_WORKERS") or len(os.sched_getaffinity(0))),
        batch=int(os.environ.get("PEERS_BATCH") or BATCH[job]),
        wait=float(os.environ.get("PEERS_WAIT") or wait),
        variant=os.environ.get("PEERS_VARIANT") or variant,
    )


def read_command_line() -> None:
    """`JOB PORT` into the environment of this process and those it starts, and one thread for each of them."""
    if len(sys.argv) != 3 or sys.argv[1] not in BATCH or not sys.argv[2].isdigit():
        raise SystemExit(f"usage: python -m {__spec__.parent}.servers.NAME {{{','.join(BATCH)}}} PORT")
    os.environ["PEERS_JOB"], os.environ["PEERS_PORT"] = sys.argv[1:]
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
