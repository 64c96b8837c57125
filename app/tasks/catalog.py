"""What can be served: the versions in the store, as front end and engines find them, and who answers by default."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.engine.client import EngineView
from app.errors import ModelNotFound, ModelUnavailable, StoreError, UnknownLanguage
from app.store.manifest import Manifest, Task
from app.store.model_store import BrokenVersion, Contents
from app.text.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Entry:
    """A version that the front end can use: its manifest, and the tokenizers of what it reads and what it writes."""

    manifest: Manifest
    tokenizer: TextTokenizer
    target_tokenizer: TextTokenizer


class Catalog:
    """The front end's view of a store, read once at start."""

    def __init__(self, contents: Contents) -> None:
        self.entries: dict[tuple[str, int], Entry] = {}
        broken = list(contents.broken)
        for version in contents.versions:
            manifest = version.manifest
            try:
                tokenizer = target = TextTokenizer(version.folder, manifest.tokenizer)
                if manifest.target_tokenizer is not None:
                    target = TextTokenizer(version.folder, manifest.target_tokenizer)
            except StoreError as error:
                broken.append(BrokenVersion(manifest.name, str(manifest.version), error.detail))
            else:
                self.entries[manifest.name, manifest.version] = Entry(manifest, tokenizer, target)
        self._broken = {version.key: version.reason for version in broken}
        self._usable: tuple[EngineView | None, list[Entry]] = (None, [])

    def broken(self, engines: EngineView) -> dict[str, str]:
        """Reasons by `name/version`, whoever noticed."""
        return dict(sorted((self._broken | engines.broken).items()))

    def usable(self, engines: EngineView) -> list[Entry]:
        """Entries that no engine reports as broken, the newest version of a name first."""
        seen, entries = self._usable
        if seen is not engines:
            entries = [entry for entry in self.entries.values() if entry.manifest.key not in engines.broken]
            entries.sort(key=lambda entry: (entry.manifest.name, -entry.manifest.version))
            self._usable = (engines, entries)
        return entries

    def named(self, task: Task, name: str, version: int | None, engines: EngineView) -> Entry:
        """The version asked for, or the newest usable one. Raises ModelNotFound or ModelUnavailable."""
        usable = [entry for entry in self.usable(engines) if entry.manifest.task == task]
        mine = [entry for entry in usable if entry.manifest.name == name]
        for entry in mine:
            if version in (None, entry.manifest.version):
                return entry
        broken = self.broken(engines)
        for key, reason in broken.items():
            other_name, _, other_version = key.rpartition("/")
            if other_name == name and version in (None, int(other_version) if other_version.isdigit() else None):
                raise ModelUnavailable(f"{key} is in the model store but cannot be used: {reason}", model=key)
        if mine:
            versions = ", ".join(str(entry.manifest.version) for entry in mine)
            raise ModelNotFound(f"model {name} has no version {version}; it has {versions}")
        raise ModelNotFound(f"there is no {task} model of that name; there are: {_names(usable)}")

    def default(
        self, task: Task, engines: EngineView, *, source: str | None = None, target: str | None = None
    ) -> Entry:
        """The default model of a task and its languages, None meaning any. Raises UnknownLanguage or
        ModelNotFound."""
        usable = [entry for entry in self.usable(engines) if entry.manifest.task == task]
        for entry in usable:
            manifest = entry.manifest
            fits = source in (None, manifest.source_language) and target in (None, manifest.target_language)
            if manifest.default and fits:
                return entry
        wanted = " to ".join(language for language in (source, target) if language)
        if not usable:
            raise ModelNotFound(f"the model store has no {task} model that can be used; /v1/models lists what it has")
        for_wanted = f" for {wanted}" if wanted else ""
        raise UnknownLanguage(f"no default {task} model{for_wanted}; name one in 'model': {_names(usable)}")


def _names(entries: Iterable[Entry]) -> str:
    return ", ".join(dict.fromkeys(entry.manifest.name for entry in entries)) or "none"
