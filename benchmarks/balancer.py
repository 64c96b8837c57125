"""A real HAProxy with a configuration of deploy/, before services on this machine."""

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_DEPLOY = Path(__file__).parents[1] / "deploy"


@dataclass(frozen=True)
class Balancer:
    """A running HAProxy on a port of this machine."""

    port: int
    pid: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def balancing(
    configuration: str, addresses: Sequence[str], folder: Path, *, balance: str = "leastconn"
) -> Iterator[Balancer]:
    """HAProxy before the services at `addresses`, with a file of deploy/ that is adapted in `folder`. It ends with the
    block. `balance` takes the place of `leastconn`."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    written = folder / f"{configuration}-{port}.cfg"
    text = (_DEPLOY / f"{configuration}.cfg").read_text(encoding="utf8").replace("leastconn", balance)
    written.write_text(_local(text, port, addresses))
    with subprocess.Popen(
        ["haproxy", "-db", "-f", str(written)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield Balancer(port, process.pid)
        finally:
            process.terminate()


def _local(text: str, port: int, addresses: Sequence[str]) -> str:
    """The configuration without Docker's names: with these services, and a port of this machine."""
    servers = "\n".join(f"    server replica{n} {urlsplit(address).netloc}" for n, address in enumerate(addresses, 1))
    for pattern, new in (
        (r"bind :8000", f"bind 127.0.0.1:{port}"),
        (r" resolvers docker init-addr none", ""),
        (r"resolvers docker\n(    .*\n)+", ""),
        (r"    server-template replica \d+ replica:8000", servers),
    ):
        text, count = re.subn(pattern, new, text)
        assert count, pattern
    return text
