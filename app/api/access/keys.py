"""Keys of callers: from a file that is read again when it changes, from the environment, and the administrators' own.

A key is a long random token, so nobody can guess it from its hash: SHA-256 is enough, where a password would want a
slow hash. What is kept is the hash, and a key is looked up by it: how long that takes tells nothing of any key.
"""

import json
import logging
import secrets
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.api.access.rates import check_rate
from app.errors import InvalidAccess

log = logging.getLogger("unroll.access")
_PREFIX = "unroll_"  # by which people, and programs that look for leaked keys, know one
_TOKEN_BYTES = 32
_HASH = "sha256:"


class Role(StrEnum):
    """What a key is for: the tasks; all of it; or `/metrics` alone."""

    USER = "user"
    ADMIN = "admin"
    MONITOR = "monitor"


class Key(BaseModel):
    """An entry. Limits that it leaves out are those of the settings; an empty rate and 0 are no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[\w.@-]{1,64}$")]
    hash: Annotated[str, Field(pattern=f"^{_HASH}[0-9a-f]{{64}}$")]
    role: Role = Role.USER
    rate_limit: Annotated[str, AfterValidator(check_rate)] | None = None
    concurrent_inputs: Annotated[int, Field(ge=0)] | None = None


class _Entries(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key]


def new_token() -> str:
    """A key that nobody can guess."""
    return _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def hash_of(token: bytes) -> str:
    """What is kept of a key."""
    return _HASH + sha256(token).hexdigest()


def administrator(token: str) -> Key:
    """The entry of the setting `admin_key`."""
    return Key(name="admin_key", hash=hash_of(token.encode()), role=Role.ADMIN)


def read_entries(text: str, *, source: str, toml: bool = False) -> list[Key]:
    """Entries in JSON or TOML. Raises InvalidAccess, which tells where something is wrong and nothing of what stands
    there: it might be a key."""
    try:
        return _Entries.model_validate(tomllib.loads(text) if toml else json.loads(text)).keys
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidAccess(f"{source}: {place}: {first['msg']}; `unroll key new` makes an entry") from None
    except ValueError as error:
        where = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidAccess(f"{source}: {where}it is not {'TOML' if toml else 'JSON'}") from None


class Keys:
    """The keys that are taken. `required` is whether the tasks need one; `look` reads the file again if it changed."""

    def __init__(self, fixed: Sequence[Key] = (), *, file: Path | None = None, required: bool) -> None:
        self.required = required
        self._fixed = fixed
        self._file = file
        self._seen: tuple[int, ...] = ()
        self._by_hash: dict[str, Key] = {}
        self._read()

    def find(self, token: bytes) -> Key | None:
        """Whose key it is, if anybody's."""
        return self._by_hash.get(hash_of(token))

    @property
    def is_empty(self) -> bool:
        """Whether there is no key, and none can come."""
        return not self.required and not self._by_hash

    @property
    def has_administrator(self) -> bool:
        return any(key.role is Role.ADMIN for key in self._by_hash.values())

    def look(self) -> None:
        """Take what the file says now. One that cannot be read changes nothing, or a slip would shut everybody out."""
        if self._file is None:
            return
        try:
            changed = self._read()
        except InvalidAccess as error:
            log.error("keys stay as they were: %s", error.detail)
            return
        if changed:
            log.info("%s was read again: keys of %d callers", self._file, len(self._by_hash))

    def _read(self) -> bool:
        """Whether anything was new. Raises InvalidAccess."""
        entries = list(self._fixed)
        if self._file is not None:
            try:
                stat = self._file.stat()
                seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if seen == self._seen:
                    return False
                self._seen = seen  # also of one that is broken, which is complained about once
                text = self._file.read_text(encoding="utf8")
            except (OSError, UnicodeDecodeError) as error:
                if self._seen == (0,):
                    return False
                self._seen = (0,)
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise InvalidAccess(f"{self._file}: {reason}") from None
            entries += read_entries(text, source=str(self._file), toml=self._file.suffix != ".json")
        for what in ("name", "hash"):
            values = [getattr(entry, what) for entry in entries]
            if len(set(values)) < len(values):
                names = [entry.name for entry in entries if values.count(getattr(entry, what)) > 1]
                raise InvalidAccess(f"two keys have the same {what}: {', '.join(names)}")
        self._by_hash = {entry.hash: entry for entry in entries}
        return True
