"""What members of a cluster tell the coordinator, and what it tells them."""

import msgspec

from app.desired_state import DesiredState


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A member: a front end, or an engine, which has an `endpoint` once it is ready. `desired` is the newest desired
    state that it knows. A front end serves the revision `applied` of it; an engine has None. `updates` is how often it
    brought its copy of the store up to date."""

    member: str
    endpoint: str = ""
    desired: DesiredState
    applied: int | None = None
    updates: int = 0


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as one `coordinator`, which changes when it restarts, knows it. `number` grows with each change.
    Just after a start it may not know all engines, and is not complete. Each member has to bring its copy of the store
    up to date when `updates` grows."""

    coordinator: str
    number: int
    endpoints: tuple[str, ...]
    is_complete: bool
    desired: DesiredState
    updates: int
