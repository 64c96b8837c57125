"""Everything that can go wrong, in the words of the domain. `app/api/problems.py` maps each class to a status.

UnrollError
├── InputError              what the caller sent can be put right by the caller
│   ├── EmptyInput
│   ├── InputTooLong
│   ├── TooManyInputs
│   ├── InvalidImage
│   ├── UnsupportedMedia
│   ├── BodyTooLarge
│   ├── UnknownLanguage
│   ├── UnknownWord         it is not in the vocabulary, and the model has no word for such
│   └── ContradictoryOptions
├── ModelNotFound           no such model, or no such version of it
├── ModelUnavailable        it is in the store, but broken or being unloaded
├── LoadFailed              it could not be loaded; what was loaded before serves on
├── StoreUnreachable        the model store at a URL cannot be read
├── StoreNotWritable        the model store takes no changes
├── VersionExists           what is published is not replaced
├── AdminOff                there is no key for administrators
├── WrongKey                the caller has no key, or one that is not of this service
├── NotAllowed              the caller's key is for something else
├── RateLimited             the caller asks too often, or too much at once
├── InvalidAccess           keys or limits that the service is to start with cannot be used
├── Overloaded              too much is waiting already
├── NotReady                the engine is starting
├── Draining                the service is about to end
├── TimedOut                no answer within the time a request may take
├── EngineFailed            the engine could not run the request
├── ImportFailed            a foreign checkpoint cannot become a version of ours
│   ├── UnsafeCheckpoint    to read it, something of it would have to be run
│   ├── UnreadableCheckpoint
│   └── CheckpointTooLarge  it declares more than a file of its size can hold
└── StoreError              a version in the model store cannot be used
    ├── InvalidManifest
    ├── InvalidVocabulary
    ├── MissingExtra        a package that it needs is not installed
    ├── FileDamaged
    └── WeightsMismatch
"""


class UnrollError(Exception):
    """`detail` says what was wrong and what would be accepted; `facts` are added to the problem as members."""

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


class TooManyInputs(InputError):
    pass


class InvalidImage(InputError):
    pass


class UnsupportedMedia(InputError):
    pass


class BodyTooLarge(InputError):
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


class NotAllowed(UnrollError):
    pass


class RateLimited(UnrollError):
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


class UnsafeCheckpoint(ImportFailed):
    pass


class UnreadableCheckpoint(ImportFailed):
    pass


class CheckpointTooLarge(ImportFailed):
    pass


class StoreError(UnrollError):
    pass


class InvalidManifest(StoreError):
    pass


class InvalidVocabulary(StoreError):
    pass


class MissingExtra(StoreError):
    pass


class FileDamaged(StoreError):
    pass


class WeightsMismatch(StoreError):
    pass
