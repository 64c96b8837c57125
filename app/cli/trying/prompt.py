"""The prompt of `unroll try`: reads lines, runs commands, and prints answers as they are made."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from unroll_client import TASKS, Task, Unroll, UnrollClientError
from unroll_client.address import DEFAULT_URL
from unroll_client.service_info import ModelInfo

from app.cli.ask.output_file import Line
from app.cli.ask.printing import print_stream, printer
from app.cli.messages import errors_as_messages
from app.cli.store_option import HOW_TO_GET_MODELS
from app.cli.trying.lines import describe_line, read_line
from app.cli.trying.options import known_options, option_value
from app.cli.trying.service import ended_by_signals, own_service, served_models, version_in
from app.store.listing import list_store
from app.tasks.registry import BY_NAME

# Users of Ollama type these; other lines may be paths.
_AS_OLLAMA = re.compile(r"/(\?|help|bye|exit|quit|clear|((set|show|load)( .*)?))")
_HELP = """\
:model [NAME]         change the model, or list the models
:show                 say what the model is
:set [OPTION [VALUE]] set an option of the answers, forget it, or list the options
:help                 show this
:quit                 leave; so does Ctrl-D
Ctrl-C                stop an answer"""


def run_prompt(model: str | None, url: str | None, api_key: str | None, store: Path) -> None:
    """Read lines until :quit or the end of the input. Raises click.ClickException."""
    with suppress(ImportError):
        import readline  # noqa: F401 - edits lines, and remembers them
    with errors_as_messages(), ended_by_signals(), ExitStack() as stack:
        place = Place(stack, url, api_key, store)
        prompt = Prompt(place, *place.open(model or _asked(place)))
        while (line := _next_line()) is not None:
            if line.strip() and not prompt.take(line):
                break


def _next_line() -> str | None:
    """The next line; None at the end of the input."""
    while True:
        try:
            return input(">>> " if sys.stdin.isatty() else "")
        except EOFError:
            if sys.stdin.isatty():
                click.echo()
            return None
        except KeyboardInterrupt:
            click.echo("\n:quit or Ctrl-D leaves")


def _asked(place: "Place") -> str:
    names = place.names()
    if not sys.stdin.isatty():
        raise click.UsageError(f"name a model: {', '.join(names)}")
    click.echo("\n".join(names))
    answer: str = click.prompt("model", type=click.Choice(names), show_choices=False)
    return answer


class Place:
    """Where models are: a running service, and a model store. Its services end with `stack`."""

    def __init__(self, stack: ExitStack, url: str | None, api_key: str | None, store: Path) -> None:
        self._stack, self._api_key, self._store = stack, api_key, store
        self._own = ExitStack()  # the service that this process started, and its client
        stack.callback(lambda: self._own.close())
        self._url = url or DEFAULT_URL
        self._served = served_models(self._url, api_key)
        if url and self._served is None:
            raise click.ClickException(f"no service answers at {url}")

    def names(self) -> list[str]:
        """The models of the service, and those of the store."""
        served = [model.name for model in self._served or ()]
        stored = [key.partition("/")[0] for key in list_store(self._store).folders]
        if not served and not stored:
            raise click.ClickException(f"there is no model in {self._store}; {HOW_TO_GET_MODELS}")
        return sorted({*served, *stored})

    def open(self, name: str) -> tuple[Unroll, ModelInfo]:
        """A client of a service that has the model. Raises click.ClickException."""
        if model := _find(self._served or [], name):
            click.echo(f"asking the service at {self._url}", err=True)
            return self._stack.enter_context(Unroll(self._url, api_key=self._api_key)), model
        version = version_in(self._store, name)
        if version is None:
            raise click.ClickException(f"there is no model {name}; there are {', '.join(self.names())}")
        click.echo(f"starting a service for {version.parent.name}/{version.name} ...", err=True)
        with ExitStack() as starting:
            client = starting.enter_context(Unroll(starting.enter_context(own_service(version)), api_key=""))
            (model,) = client.models().models
            started = starting.pop_all()
        self._own.close()  # the one before, if this one has started
        self._own = started
        return client, model


def _find(models: list[ModelInfo], name: str) -> ModelInfo | None:
    name, _, version = name.partition("/")
    fitting = [model for model in models if model.name == name and version in ("", str(model.version))]
    return next((model for model in fitting if model.default_version), fitting[-1] if fitting else None)


class Prompt:
    """A model, its client and the options of its answers."""

    def __init__(self, place: Place, client: Unroll, model: ModelInfo) -> None:
        self._place = place
        self._use(client, model)

    def _use(self, client: Unroll, model: ModelInfo) -> None:
        self._client, self._model = client, model
        self._task = _task_of(model)
        self._options: dict[str, Any] = {}
        self._show()
        click.echo(f"Type {describe_line(model)}; :help shows the commands.")

    def _show(self) -> None:
        click.echo(f"{self._model.name}/{self._model.version}: {self._model.description}")

    def take(self, line: str) -> bool:
        """Run a command, or answer a line. False after :quit."""
        command, _, rest = line.strip()[1:].partition(" ")
        rest = rest.strip()
        if not line.lstrip().startswith(":") and not _AS_OLLAMA.fullmatch(line.strip()):
            self._answer(line)
            return True
        if command in ("quit", "q", "exit", "bye"):
            return False
        with _mistakes_as_messages():
            if command in ("help", "?"):
                click.echo(_HELP)
            elif command in ("model", "load"):
                self._change_model(rest)
            elif command == "show":
                self._show()
            elif command == "clear":
                click.echo("nothing to clear: each line is answered alone")
            elif command == "set":
                self._set(*rest.split(maxsplit=1))
            else:
                click.echo(f"there is no command :{command}\n{_HELP}", err=True)
        return True

    def _change_model(self, name: str) -> None:
        if name:
            self._use(*self._place.open(name))
        else:
            click.echo("\n".join(self._place.names()))

    def _set(self, name: str = "", value: str = "") -> None:
        if not name:
            for option, (_, text) in known_options(self._task).items():
                shown = f" = {self._options[option]}" if option in self._options else ""
                click.echo(f"{option}{shown}: {text}")
        elif value:
            self._options[name] = option_value(self._task, name, value)
        else:
            self._options.pop(name, None)

    def _answer(self, line: str) -> None:
        options = {**self._options, "model": self._model.name, "version": self._model.version}
        with _mistakes_as_messages():
            try:
                given = read_line(line, self._model)
                is_searched = self._options.get("beams", 1) > 1  # a search has no tokens before its end
                if self._task.streams and not is_searched:
                    self._stream(given, options)
                else:
                    result = self._client.ask(self._task, given, **options)
                    show = printer("text", self._task.answer, alone=True)
                    show(Line(0, self._task.name, line, result=result.to_dict()))
            except KeyboardInterrupt:
                click.echo("\nstopped")

    def _stream(self, given: Any, options: dict[str, Any]) -> None:
        """Leaving the stream early closes its connection, and the service stops decoding."""
        with self._client.stream(self._task, given, **options) as stream:
            print_stream(stream, self._task.answer)


@contextmanager
def _mistakes_as_messages() -> Iterator[None]:
    """A mistake is a message, and the prompt stays."""
    try:
        yield
    except click.ClickException as error:
        click.echo(error.format_message(), err=True)
    except (UnrollClientError, OSError, ValueError, TypeError) as error:
        click.echo(str(error), err=True)


def _task_of(model: ModelInfo) -> Task[Any]:
    """The task of a model in the client's table."""
    known = BY_NAME.get(model.task)
    for task in TASKS:
        if known is not None and task.path == known.face.path:
            return task
    raise click.ClickException(f"this version of Unroll does not know the task {model.task} of {model.name}")
