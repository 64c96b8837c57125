"""Why a file is not read. The child reports the name of the class and the message to its parent."""


class Refused(Exception):
    """Reading it would run code, or it is an attack."""


class ForbiddenName(Refused):
    """A pickle names, or calls, something that could run code."""

    def __init__(self, name: str) -> None:
        super().__init__(f"it uses {name}, which could run code; nothing of it was run")


class Unreadable(Exception):
    """It is damaged, or its format is unknown."""


class TooLarge(Exception):
    """It declares more than the limits allow."""
