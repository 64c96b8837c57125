"""Sends a version to a running service, as an administrator: its files piece by piece, then a load."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx

from app.errors import printable
from app.store.names import MANIFEST, version_number

_PIECE = 8 * 2**20
_SECONDS = 600.0  # of a load


def send_version(folder: Path, url: str, key: str | None) -> None:
    """Upload the version in a folder, and load it. Raises click.ClickException with the service's reason."""
    name, version = folder.parent.name, folder.name
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=_SECONDS) as service:
            files = sorted(folder.iterdir(), key=lambda path: (path.name == MANIFEST, path.name))
            for path in files:
                for offset, piece in _pieces(path):
                    place = f"/v1/models/{name}/uploads/{version}/{path.name}"
                    _checked(service.put(place, params={"offset": offset}, content=piece))
            loaded = _checked(service.post(f"/v1/models/{name}/load", json={"version": int(version)}))
            served = f"{loaded['name']}/{int(loaded['version'])}"
    except httpx.HTTPError as error:
        raise _no_answer(url, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _another_server(url) from error
    click.echo(f"{url} serves {printable(served)}")


def next_version(url: str, key: str | None, name: str) -> int:
    """One more than the newest version of a name that the service has."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        listed = _checked(httpx.get(f"{url.rstrip('/')}/v1/models", headers=headers, timeout=30))
        versions = [int(model["version"]) for model in listed["models"] if model["name"] == name]
        broken = [item["model"].rpartition("/") for item in listed["broken"]]
        versions += [number for other, _, text in broken if other == name and (number := version_number(text))]
    except httpx.HTTPError as error:
        raise _no_answer(url, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _another_server(url) from error
    return 1 + max(versions, default=0)


def _no_answer(url: str, error: httpx.HTTPError) -> click.ClickException:
    return click.ClickException(f"{url} does not answer: {printable(str(error))}")


def _another_server(url: str) -> click.ClickException:
    return click.ClickException(f"{url} is no Unroll service: its answers are others. Check the address after --into")


def _pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield offset, piece
            offset += len(piece)


def _checked(response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        content: dict[str, Any] = response.json()
        return content
    try:
        reason = printable(str(response.json()["detail"]))
    except (ValueError, KeyError, TypeError):
        reason = f"status {response.status_code}"
    advice = ""
    if response.status_code in (401, 403):
        advice = "; give an administrator's key with --key or UNROLL_ADMIN_KEY"
    raise click.ClickException(f"the service refuses the version: {reason}{advice}")
