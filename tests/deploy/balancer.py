"""A real HAProxy with a configuration of deploy/, for services on this machine."""

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

DEPLOY = Path(__file__).parents[2] / "deploy"


@contextmanager
def balancing(configuration: str, addresses: Sequence[str], folder: Path) -> Iterator[str]:
    """The address of HAProxy before the services at `addresses`. It ends with the block."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    written = folder / f"{configuration}.cfg"
    written.write_text(_local((DEPLOY / f"{configuration}.cfg").read_text(encoding="utf8"), port, addresses))
    process = subprocess.Popen(
        ["haproxy", "-db", "-f", str(written)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


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
