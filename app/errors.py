"""Everything that can go wrong, in the words of the domain. `app/api/problems.py` maps each class to a status.

UnrollError
├── InputError              the request is wrong; the caller can correct it
│   ├── EmptyInput
│   ├── InputTooLong
│   ├── InputTooShort       an input has fewer steps than its model reads
│   ├── TooManyInputs
│   ├── InvalidImage
│   ├── InvalidSeries
│   ├── UnsupportedMedia
│   ├── UnreadableBody      the body is not what its headers say
│   ├── BodyTooLarge
│   ├── MalformedRequest    not an HTTP request
│   ├── HeadTooLarge
│   ├── RequestTooSlow      its head or body does not arrive in time
│   ├── UnknownLanguage
│   ├── UnknownWord         not in the vocabulary of a model without an unknown token
│   └── ContradictoryOptions
├── ModelNotFound           no such model or version
├── ModelUnavailable        the version is broken or unloading
├── ModelNotLoaded          the version could not be loaded before the request's deadline
├── LoadFailed              the version cannot be loaded; the loaded ones keep serving
├── StoreUnreachable        the model store at a URL cannot be read
├── StoreNotWritable        the model store is read-only
├── VersionExists           a published version is never replaced
├── AdminOff                no administrator key is set
├── WrongKey                the caller's key is missing or unknown
├── HostNotAllowed          the request names a host that is not this service's
├── CrossSite               a page of another site sends the request
├── NotAllowed              the role of the caller's key does not permit the request
├── RateLimited             the caller exceeds its rate or its concurrent inputs
├── NoTemporaryFolder       temporary files cannot be written
├── InvalidAccess           the configured keys or limits are invalid
├── Overloaded              too many admitted requests are unanswered
├── NotReady                no engine is ready yet
├── Draining                the service is shutting down
├── TimedOut                no answer before the request's deadline
├── EngineFailed            the engine could not run the request
├── ImportFailed            a foreign checkpoint cannot be converted
│   ├── UnsafeCheckpoint    reading the checkpoint would run code from it
│   ├── UnreadableCheckpoint
│   └── CheckpointTooLarge  the checkpoint declares more data than its file can hold
├── ExportFailed            a version cannot be written in another format
└── StoreError              a version in the model store cannot be used
    ├── InvalidManifest
    ├── InvalidVocabulary
    ├── MissingExtra        a package that the version needs is not installed
    ├── FileDamaged
    ├── FileUnreadable      the machine or the disk fails to read a file, which may be valid
    └── WeightsMismatch
"""

_LONGEST = 300  # characters of a reason that comes from a file


def printable(text: str, *, most: int = _LONGEST) -> str:
    """The text in one line of bounded length, with all that cannot be printed or encoded as escapes. A file may hold
    anything, and its reasons go to logs, terminals and JSON."""
    shown = text if len(text) <= most else f"{text[:most]}..."
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in shown)


def counted(count: int, noun: str) -> str:
    """`1 number`, `2 numbers`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


class UnrollError(Exception):
    """`detail` says what is wrong, the limit and what to do; `facts` become members of the problem."""

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class InputError(UnrollError):
    pass


class EmptyInput(InputError):
    pass


class InputTooLong(InputError):
    pass


class InputTooShort(InputError):
    pass


class TooManyInputs(InputError):
    pass


class InvalidImage(InputError):
    pass


class InvalidSeries(InputError):
    pass


class UnsupportedMedia(InputError):
    pass


class UnreadableBody(InputError):
    pass


class BodyTooLarge(InputError):
    pass


class MalformedRequest(InputError):
    pass


class HeadTooLarge(InputError):
    pass


class RequestTooSlow(InputError):
    pass


class UnknownLanguage(InputError):
    pass


class UnknownWord(InputError):
    pass


class ContradictoryOptions(InputError):
    pass


class ModelNotFound(UnrollError):
    pass


class ModelUnavailable(UnrollError):
    pass


class ModelNotLoaded(UnrollError):
    pass


class LoadFailed(UnrollError):
    pass


class StoreUnreachable(UnrollError):
    pass


class StoreNotWritable(UnrollError):
    pass


class VersionExists(UnrollError):
    pass


class AdminOff(UnrollError):
    pass


class WrongKey(UnrollError):
    pass


class HostNotAllowed(UnrollError):
    pass


class CrossSite(UnrollError):
    pass


class NotAllowed(UnrollError):
    pass


class RateLimited(UnrollError):
    pass


class NoTemporaryFolder(UnrollError):
    pass


class InvalidAccess(UnrollError):
    pass


class Overloaded(UnrollError):
    pass


class NotReady(UnrollError):
    pass


class Draining(UnrollError):
    pass


class TimedOut(UnrollError):
    pass


class EngineFailed(UnrollError):
    pass


class ImportFailed(UnrollError):
    pass


class ExportFailed(UnrollError):
    pass


class UnsafeCheckpoint(ImportFailed):
    pass


class UnreadableCheckpoint(ImportFailed):
    pass


class CheckpointTooLarge(ImportFailed):
    pass


class StoreError(UnrollError):
    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(printable(detail), **facts)


class InvalidManifest(StoreError):
    pass


class InvalidVocabulary(StoreError):
    pass


class MissingExtra(StoreError):
    pass


class FileDamaged(StoreError):
    pass


class FileUnreadable(StoreError):
    pass


class WeightsMismatch(StoreError):
    pass
