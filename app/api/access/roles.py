"""Roles of keys."""

from enum import StrEnum


class Role(StrEnum):
    """The rights of a key: `user` for the tasks, `admin` for everything, `monitor` for `/metrics` only."""

    USER = "user"
    ADMIN = "admin"
    MONITOR = "monitor"
