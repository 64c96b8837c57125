"""The command `unroll`. Each command is a module beside this one."""

import gc
import os

import click

from app.cli.lazy_group import LazyCommand, LazyGroup
from app.version import VERSION

gc.set_threshold(50_000, 20, 20)  # imports make many objects and hardly any garbage
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # its search for plugins takes a tenth of a second
COMMANDS = {
    "serve": LazyCommand("app.cli.serve", "serve", "Serve the model store over HTTP until SIGTERM or Ctrl-C."),
    "ask": LazyCommand("app.cli.ask.command", "ask", "Send inputs to a running service."),
    "try": LazyCommand("app.cli.try_model", "try_model", "Try a model at a prompt in the terminal."),
    "list": LazyCommand("app.cli.list_versions", "list_versions", "List the versions in a model store."),
    "show": LazyCommand("app.cli.show", "show", "Show the manifests of a model's versions."),
    "verify": LazyCommand("app.cli.verify", "verify", "Check versions as an engine does."),
    "remove": LazyCommand("app.cli.remove", "remove", "Remove a version from the model store."),
    "import": LazyCommand(
        "app.cli.import_checkpoint", "import_", "Import a checkpoint of another code base into the model store."
    ),
    "export": LazyCommand("app.cli.export", "export", "Write a version as files that need no Unroll."),
    "layouts": LazyCommand("app.cli.layouts", "layouts", "List the checkpoint layouts that `unroll import` reads."),
    "pull": LazyCommand("app.cli.pull", "pull", "Copy models into a model store."),
    "key": LazyCommand("app.cli.key", "key", "Make keys for callers of the service."),
}


@click.group(cls=LazyGroup, lazy_commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="unroll")
def main() -> None:
    """Serve trained recurrent networks over REST."""
