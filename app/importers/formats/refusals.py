"""Why a file is not read. The child tells its parent by class name and detail."""


class Refused(Exception):
    """It would need something to be run, or is made to do harm."""


class Unreadable(Exception):
    """It is damaged, or of a kind that is not known."""


class TooLarge(Exception):
    """It declares more than is taken."""
