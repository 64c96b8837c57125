"""Runs `unroll pull`, whose options are in `app.cli.pull`."""

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from app.cli.messages import errors_as_messages
from app.cli.program import program
from app.errors import UnrollError, printable
from app.store.listing import list_store
from app.store.names import is_url
from app.store.pulling import chosen_versions, pull_version, store_in
from app.store.remote import RemoteStore

_DISTRIBUTION = "unroll-serve"
_GIT = "git+"
_COPY = ".pull"  # in the store, of files from a URL: an interrupted run resumes


def pull_models(names: Sequence[str], source: str | None, store: Path) -> None:
    """Print a line for each version. Raises click.ClickException, and click.exceptions.Exit if one version fails."""
    failed = False
    with errors_as_messages(), _local_store(source or _installed_from(), names, store) as root:
        folders = chosen_versions(root, names)
        _check_names(names, folders, root, source)
        for key, folder in folders.items():
            try:
                copied = pull_version(folder, store)
                click.echo(f"{key}\t{'copied' if copied else 'already there'}")
            except (UnrollError, OSError) as error:
                failed = True
                click.echo(f"{key}\tfailed: {error.detail if isinstance(error, UnrollError) else error}")
    if failed:
        raise click.exceptions.Exit(1)
    click.echo(f"serve them:\n  {program()} serve --store {shlex.quote(str(store))}")


def _check_names(names: Sequence[str], folders: dict[str, Path], root: Path, source: str | None) -> None:
    known = {*folders, *(key.partition("/")[0] for key in folders)}
    if missing := [name for name in names if name not in known]:
        there = ", ".join(list_store(root).folders) or "no version"
        raise click.ClickException(f"the source has no {', '.join(missing)}; it has {there}")
    if not folders:
        raise click.ClickException(
            f"{source or root} has no model: give a folder with NAME/VERSION/, or a checkout of Unroll"
        )


@contextmanager
def _local_store(source: str, names: Sequence[str], store: Path) -> Iterator[Path]:
    """A folder with the content of the source. Raises StoreUnreachable."""
    if source.startswith(_GIT) or (is_url(source) and source.endswith(".git")):
        with tempfile.TemporaryDirectory(prefix="unroll-pull-") as folder:
            _clone(source.removeprefix(_GIT), Path(folder))
            yield store_in(Path(folder))
    elif is_url(source):
        remote = RemoteStore(source, store / _COPY)
        wanted: list[str | None] = [*dict.fromkeys(name.partition("/")[0] for name in names)]
        for name in wanted or [None]:
            remote.update(name)
        yield remote.root
        shutil.rmtree(store / _COPY)
    else:
        root = store_in(Path(source))
        if not root.is_dir():
            raise click.BadParameter(f"{source} is not a folder", param_hint="--from")
        yield root


def _clone(url: str, folder: Path) -> None:
    """The files of a git repository, at the commit, tag or branch after an @ in its path."""
    path, _, reference = urlsplit(url).path.rpartition("@")
    address = url.removesuffix(f"@{reference}") if path else url
    for command in (
        ["init", "--quiet"],
        ["fetch", "--quiet", "--depth", "1", "--", address, reference if path else "HEAD"],
    ):
        _git(folder, *command)
    _git(folder, "checkout", "--quiet", "FETCH_HEAD")


def _git(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(["git", *arguments], cwd=folder, check=True, stderr=subprocess.PIPE, encoding="utf8")
    except FileNotFoundError as error:
        raise click.ClickException("git is not installed; give a folder with --from") from error
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"git {arguments[0]} fails: {printable(error.stderr.strip())}") from error


def _installed_from() -> str:
    """The folder or git repository from which pip or uv installed this package, as they record it (PEP 610)."""
    try:
        recorded = json.loads(distribution(_DISTRIBUTION).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        recorded = {}
    url = recorded.get("url", "")
    if vcs := recorded.get("vcs_info"):
        return f"{_GIT}{url}@{vcs['commit_id']}"
    folder = Path(unquote(urlsplit(url).path))
    reason = "Unroll was not installed from a checkout"
    if "dir_info" in recorded:
        if store_in(folder) != folder:
            return str(folder)
        reason = f"{folder}, from which Unroll was installed, is no checkout any more"
    raise click.UsageError(f"{reason}; name a checkout or a model store: unroll pull --from FOLDER")
