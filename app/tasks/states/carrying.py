"""The state that the inputs of a request continue from, and the texts of those that its answers return."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from app.engine.carrying import why_not_carried
from app.engine.protocol import Carried
from app.errors import NoState, StateMismatch
from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS
from app.tasks.catalog import Entry
from app.tasks.options import TaskOptions
from app.tasks.states.keys import StateKeys
from app.tasks.states.options import GivenStateOptions, ReturnedStateOptions, check_options
from app.tasks.states.saved import SavedState
from app.text.settled_text import why_not_settled


@dataclass(frozen=True)
class Carrying:
    """`start` is the state that inputs continue from. With `keys` each answer returns one."""

    start: SavedState | None = None
    keys: StateKeys | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is a state before or after."""
        return self.start is not None or self.keys is not None


NOTHING_CARRIED = Carrying()


@dataclass(frozen=True, slots=True)
class NextState:
    """The state after an input, but for what the engine kept."""

    saved: SavedState
    keys: StateKeys

    def sealed(self, carried: Carried | None) -> str:
        """Its text. Without `carried` nothing was read since the state before. Raises InvalidState."""
        saved = self.saved if carried is None else msgspec.structs.replace(self.saved, carried=carried)
        return self.keys.seal(saved)


def opened(options: TaskOptions, keys: StateKeys | None, *, returns: bool) -> Carrying:
    """What a request carries; with `returns` its answers have a state in any case. Raises InvalidState and
    ContradictoryOptions."""
    if keys is None or not isinstance(options, GivenStateOptions):
        return NOTHING_CARRIED
    returns = returns or (isinstance(options, ReturnedStateOptions) and options.return_state)
    if options.state is None and not returns:
        return NOTHING_CARRIED
    check_options(options, "return_state" if options.state is None else "state")
    keys.check_on()
    return Carrying(None if options.state is None else keys.open(options.state), keys if returns else None)


def check_model(start: SavedState, model: str | None, version: int | None) -> None:
    """Raises StateMismatch for a request that names another model or version than the state has."""
    if model not in (None, start.model) or version not in (None, start.version):
        named = f"{model}/{version}" if version is not None else model
        raise StateMismatch(
            f"state is one of {start.model}/{start.version}, and the request names {named}: leave out model, or send a "
            "state of it"
        )


def check_entries(carrying: Carrying, entries: Sequence[Entry]) -> None:
    """Raises NoState for a model that cannot carry its state, and StateMismatch for other weights."""
    for index, entry in enumerate(entries):
        manifest = entry.manifest
        if reason := why_no_state(manifest):
            raise NoState(
                f"{manifest.name} cannot continue from a state: {reason}; leave out state and return_state, or name "
                "another model",
                input=index,
            )
        start = carrying.start
        if start is not None and start.weights != weights_of(manifest):
            raise StateMismatch(
                f"state is one of {start.model}/{start.version} with other weights than here; begin anew"
            )


def weights_of(manifest: Manifest) -> bytes:
    """The SHA-256 of the weights of a version."""
    return bytes.fromhex(manifest.files[WEIGHTS].sha256)


def begun(manifest: Manifest) -> SavedState:
    """The state of a version that has read nothing."""
    return SavedState(manifest.name, manifest.version, weights_of(manifest))


def why_no_state(manifest: Manifest) -> str | None:
    """Why a model cannot continue from a state of an earlier request; None if it can."""
    if reason := why_not_carried(manifest):
        return reason
    return None if manifest.tokenizer is None else why_not_settled(manifest.tokenizer)
