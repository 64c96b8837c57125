"""The catalog: versions of the store that can be served, and which of them answers by default."""

import logging
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

from app.engine.client import EngineView
from app.errors import (
    FileUnreadable,
    InvalidManifest,
    ModelNotFound,
    ModelUnavailable,
    StoreError,
    UnknownLanguage,
    printable,
)
from app.store.description import SourceName
from app.store.hashes import HashOf, sha256_of
from app.store.listing import version_folders
from app.store.manifest import Manifest
from app.store.model_store import BrokenVersion, Version, check_hashes, inspect_version
from app.store.names import version_number
from app.store.text_input import TokenizerUse
from app.text.tokenizer import TextTokenizer

log = logging.getLogger("unroll.catalog")
_MOST_CHOSEN = 256  # default models that are remembered: clients may ask for any languages
Check = Callable[[Manifest], None]  # raises InvalidManifest for a network that does not fit a task
Tokenizers = WeakValueDictionary[tuple[str, str], TextTokenizer]  # by the hash of the file, and its use


class Selection(NamedTuple):
    """The models that a route takes: those that `takes` accepts. `task` is its task, whose own models are preferred as
    default; `words` name such a model in errors."""

    task: str
    words: str
    takes: Callable[[Manifest], bool]


@dataclass(frozen=True)
class Entry:
    """A version that the front end can use: its manifest, and the tokenizers of its source and its target, if it reads
    texts or decodes tokens."""

    manifest: Manifest
    source_tokenizer: TextTokenizer | None = None
    decoding_tokenizer: TextTokenizer | None = None

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer of a network that reads texts."""
        assert self.source_tokenizer is not None  # see `Manifest`
        return self.source_tokenizer

    @property
    def target_tokenizer(self) -> TextTokenizer:
        """The tokenizer of a network that decodes tokens."""
        assert self.decoding_tokenizer is not None  # see `Manifest`
        return self.decoding_tokenizer


def entry_of(
    version: Version,
    checks: Mapping[str, Check],
    hash_of: HashOf = sha256_of,
    tokenizers: Tokenizers | None = None,
) -> Entry:
    """A version with its tokenizers: those in `tokenizers` where they are the same. `checks` are those of the known
    tasks, by name. Raises StoreError."""
    manifest = version.manifest
    check = checks.get(manifest.task)
    if check is None:
        raise InvalidManifest(f"the task {manifest.task} is unknown; the tasks are {', '.join(checks)}")
    check(manifest)
    check_hashes(version, manifest.tokenizer_files, hash_of)
    if manifest.tokenizer is None:
        return Entry(manifest)
    known = Tokenizers() if tokenizers is None else tokenizers
    tokenizer = target = _tokenizer(version, manifest.tokenizer, known)
    if manifest.target_tokenizer is not None:
        target = _tokenizer(version, manifest.target_tokenizer, known)
    tokenizer.check_ids(manifest.source_vocabulary)
    target.check_ids(manifest.target_vocabulary)
    if manifest.decoding is not None and manifest.decoding.replace_unknown is not None:
        target.check_joins_words()
    return Entry(manifest, tokenizer, target)


def _tokenizer(version: Version, use: TokenizerUse, known: Tokenizers) -> TextTokenizer:
    key = version.manifest.files[use.file].sha256, use.model_dump_json()
    tokenizer = known.get(key)
    if tokenizer is None:
        tokenizer = known[key] = TextTokenizer(version.folder, use)
    return tokenizer


class Catalog:
    """The versions that the front end serves, of the tasks in `checks`.

    `defaults` are the default versions of names, where set; otherwise the newest is the default. `unloaded` are
    versions that an administrator unloaded, as `name/version`.
    """

    def __init__(self, checks: Mapping[str, Check], hash_of: HashOf = sha256_of) -> None:
        self._checks = checks
        self._hash_of = hash_of
        self._tokenizers = Tokenizers()
        self.entries: dict[tuple[str, int], Entry] = {}
        self.defaults: Mapping[str, int] = {}
        self.unloaded: Collection[str] = ()
        self._broken: dict[str, str] = {}
        self._seen: EngineView | None = None
        self._lost: Collection[str] | None = None  # versions that no engine can use; None if that is to be found out
        self._usable: list[Entry] = []  # the others, in order
        self._by_name: dict[str, list[Entry]] = {}  # of the usable ones
        self._chosen: dict[object, Entry] = {}  # of them, by what `default` was asked

    def open(self, folder: Path) -> Entry | BrokenVersion:
        """The version in a folder of the store, or why it cannot be used. Of its files only those of the tokenizers are
        read: the engines check the weights."""
        may_pass = False
        try:
            return entry_of(inspect_version(folder), self._checks, self._hash_of, self._tokenizers)
        except StoreError as error:
            reason, may_pass = error.detail, isinstance(error, FileUnreadable)
        except Exception as error:  # a version may hold anything: it must not end the service or the watch
            log.exception("%s/%s could not be opened", folder.parent.name, folder.name)
            reason = printable(f"it could not be opened: {type(error).__name__}: {error}")
        return BrokenVersion(folder.parent.name, folder.name, reason, may_pass)

    @property
    def keys(self) -> set[str]:
        """The served versions, as `name/version`."""
        return {entry.manifest.key for entry in self.entries.values()}

    def change(
        self,
        opened: Sequence[Entry | BrokenVersion],
        *,
        served: Container[str],
        failed: Mapping[str, str],
        defaults: Mapping[str, int],
        unloaded: Collection[str],
    ) -> None:
        """Add versions, and drop all that are not `served`, in one step. `failed` are the versions that could not be
        loaded, with the reason; `defaults` and `unloaded` replace those of the catalog."""
        whole = [entry for entry in opened if isinstance(entry, Entry)]
        self.entries |= {(entry.manifest.name, entry.manifest.version): entry for entry in whole}
        self.entries = {place: entry for place, entry in self.entries.items() if entry.manifest.key in served}
        self._broken = {entry.key: entry.reason for entry in opened if isinstance(entry, BrokenVersion)} | dict(failed)
        self.defaults = defaults
        self.unloaded = unloaded
        self._seen = self._lost = None

    def broken(self, engines: EngineView) -> dict[str, str]:
        """Versions that cannot be used, as `name/version`, with the reason of the front end or the engines."""
        return dict(sorted((self._broken | engines.broken).items()))

    def usable(self, engines: EngineView) -> list[Entry]:
        """Entries that an engine has, or that no engine reports as broken. Of a name, the default version is first, and
        the others follow from the newest to the oldest."""
        if engines is not self._seen:
            self._seen = engines
            lost = engines.broken.keys() - engines.models
            if lost != self._lost:
                self._lost = lost
                self._arrange([entry for entry in self.entries.values() if entry.manifest.key not in lost])
        return self._usable

    def _arrange(self, entries: list[Entry]) -> None:
        """Note the usable versions, and forget what depended on them."""
        self._usable = sorted(entries, key=lambda entry: self._rank(entry.manifest))
        self._by_name = {}
        for entry in self._usable:
            self._by_name.setdefault(entry.manifest.name, []).append(entry)
        self._chosen = {}

    def of_name(self, name: str, engines: EngineView) -> list[Entry]:
        """Usable versions of a name, the default version first."""
        self.usable(engines)
        return self._by_name.get(name, [])

    def is_default(self, manifest: Manifest, engines: EngineView) -> bool:
        """Whether a version answers requests of its task, its kind of source and its languages that name no model."""
        same = [
            entry.manifest
            for entry in self.usable(engines)
            if (entry.manifest.task, entry.manifest.source) == (manifest.task, manifest.source)
        ]
        if len({other.name for other in same}) == 1:
            return True
        chosen = [other for other in same if other.default and other.languages == manifest.languages]
        return manifest.default and manifest.name == max(chosen, key=_default_since).name  # the first of several

    def _rank(self, manifest: Manifest) -> tuple[str, bool, int]:
        return manifest.name, manifest.version != self.defaults.get(manifest.name), -manifest.version

    def named(self, selection: Selection | None, name: str, version: int | None, engines: EngineView) -> Entry:
        """A version by name and number; without a number, the default version. `selection` None allows any model.
        Raises ModelNotFound or ModelUnavailable."""
        of_name = self.of_name(name, engines)
        versions = [entry for entry in of_name if selection is None or selection.takes(entry.manifest)]
        for entry in versions:
            if version in (None, entry.manifest.version):
                return entry
        broken = self.broken(engines)
        for key, reason in broken.items():
            other_name, _, other_version = key.rpartition("/")
            if other_name == name and version in (None, version_number(other_version)):
                raise ModelUnavailable(f"{key} is in the model store but cannot be used: {reason}", model=key)
        key = name if version is None else f"{name}/{version}"
        served = [str(entry.manifest.version) for entry in of_name]
        unloaded = {other for other in self.unloaded if other.rpartition("/")[0] == name}
        if key in unloaded or (version is None and unloaded and not served):
            others = ", ".join(served) or "none"
            raise ModelNotFound(f"{key} is in the model store but not served; served versions of {name}: {others}")
        if versions:
            numbers = ", ".join(str(entry.manifest.version) for entry in versions)
            raise ModelNotFound(f"model {name} has no version {version}; it has {numbers}")
        words = "model" if selection is None else selection.words
        usable = [entry for entry in self.usable(engines) if selection is None or selection.takes(entry.manifest)]
        raise ModelNotFound(f"there is no {words} {name}; the models are {_names(usable)}")

    def default(
        self,
        selection: Selection,
        engines: EngineView,
        *,
        kinds: Collection[SourceName] | None = None,
        source: str | None = None,
        target: str | None = None,
    ) -> Entry:
        """The default model for sources of `kinds` and for its languages, None for any: one of the route's own task,
        the latest choice of several. The only model of the task is its default, too, unless it has other languages.
        Raises UnknownLanguage or ModelNotFound."""
        self.usable(engines)
        asked = selection, None if kinds is None else tuple(kinds), source, target
        chosen = self._chosen.get(asked) or self._default(selection, engines, kinds, source, target)
        if len(self._chosen) < _MOST_CHOSEN:
            self._chosen[asked] = chosen
        return chosen

    def _default(
        self,
        selection: Selection,
        engines: EngineView,
        kinds: Collection[SourceName] | None,
        source: str | None,
        target: str | None,
    ) -> Entry:
        taken = [entry for entry in self.usable(engines) if selection.takes(entry.manifest)]
        usable = [entry for entry in taken if kinds is None or entry.manifest.source in kinds]
        usable.sort(key=lambda entry: (entry.manifest.task != selection.task, -entry.manifest.default_since))
        own = [entry for entry in usable if entry.manifest.task == selection.task]
        if chosen := _chosen(own, source, target):
            return chosen
        if len({entry.manifest.name for entry in own}) == 1 and _may_read(own[0].manifest, source, target):
            return own[0]
        if chosen := _chosen(usable, source, target):
            return chosen
        languages = " to ".join(language for language in (source, target) if language)
        if not usable:
            if kinds and taken:
                reads = " and ".join(dict.fromkeys(entry.manifest.source for entry in taken))
                raise ModelNotFound(
                    f"no {selection.words} of the model store reads {' or '.join(kinds)}; those that it has read "
                    f"{reads}: {_names(taken)}"
                )
            raise ModelNotFound(f"the model store has no usable {selection.words}; /v1/models lists its models")
        of_languages = f" for {languages}" if languages else ""
        raise UnknownLanguage(f"no default {selection.words}{of_languages}; name one in 'model': {_names(usable)}")


def _default_since(manifest: Manifest) -> int:
    return manifest.default_since


def _chosen(entries: Sequence[Entry], source: str | None, target: str | None) -> Entry | None:
    """The first that is a default, of these languages."""
    for entry in entries:
        manifest = entry.manifest
        fits = source in (None, manifest.source_language) and target in (None, manifest.target_language)
        if manifest.default and fits:
            return entry
    return None


def _may_read(manifest: Manifest, source: str | None, target: str | None) -> bool:
    """Whether a model may have these languages: it does not name others."""
    return all(
        None in (wanted, own) or wanted == own
        for wanted, own in ((source, manifest.source_language), (target, manifest.target_language))
    )


def open_catalog(root: Path, checks: Mapping[str, Check]) -> Catalog:
    """A catalog of all versions in a store."""
    catalog, folders = Catalog(checks), version_folders(root)
    opened = [catalog.open(folder) for folder in folders.values()]
    catalog.change(opened, served=folders, failed={}, defaults={}, unloaded=())
    return catalog


def _names(entries: Sequence[Entry]) -> str:
    return ", ".join(dict.fromkeys(entry.manifest.name for entry in entries)) or "none"
