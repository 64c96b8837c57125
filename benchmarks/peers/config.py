"""The configuration of a server: job and port on the command line, the rest in the environment.

The environment, because the servers start processes of their own in which only it arrives.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from app.store.listing import newest_version

BATCH = {"sentiment": 32, "translate": 32, "caption": 8}  # maximum requests in a batch
MODELS = {"sentiment": "sentiment-en", "translate": "translate-en-ko", "caption": "caption-en"}
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
        folder=Path(os.environ.get("PEERS_FOLDER") or _newest_folder(MODELS[job])).resolve(),
        workers=int(os.environ.get("PEERS_WORKERS") or len(os.sched_getaffinity(0))),
        batch=int(os.environ.get("PEERS_BATCH") or BATCH[job]),
        wait=float(os.environ.get("PEERS_WAIT") or wait),
        variant=os.environ.get("PEERS_VARIANT") or variant,
    )


def _newest_folder(name: str) -> Path:
    store = Path("model_store")
    return store / name / str(newest_version(store, name))


def read_command_line() -> None:
    """`JOB PORT` into the environment of this process and those it starts, and one thread for each of them."""
    if len(sys.argv) != 3 or sys.argv[1] not in BATCH or not sys.argv[2].isdigit():
        raise SystemExit(f"usage: python -m {__spec__.parent}.servers.NAME {{{','.join(BATCH)}}} PORT")
    os.environ["PEERS_JOB"], os.environ["PEERS_PORT"] = sys.argv[1:]
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
