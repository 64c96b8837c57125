"""Why files contain no weights: what each of them is, and the way out."""

from collections.abc import Mapping

from app.errors import printable
from app.importers.formats.unsupported import SAVED_MODEL
from app.importers.reading import ForeignObject, Plain

_ADVICE = "give a file of `torch.save(model.state_dict(), ...)`, or a model of Keras (model.save('model.keras'))"
_LEARNER = (
    "load it in Python, learn = load_learner(FILE), and save its weights, torch.save(learn.model.state_dict(), "
    "'model.pth')"
)
_EXPORT = "export.pkl"  # what learn.export() writes
_SAVED_MODEL = "saved_model.pb"
_EXPORTS = ("fastai.", "fastcore.")
_OF_OPTIMIZERS = {"state", "param_groups"}


def without_weights(files: Mapping[str, Plain]) -> str:
    """An error's words, for the contents of files by name."""
    known = [f"{name} {what}" for name, plain in files.items() if (what := _kind(plain, name)) is not None]
    if not known:
        return f"these files contain no weights: {_ADVICE}"
    return f"these files contain no weights: {'; '.join(known)}"


def is_optimizer(plain: Plain) -> bool:
    """Whether it is the `state_dict()` of an optimizer: its tensors are no weights."""
    return isinstance(plain, Mapping) and plain.keys() >= _OF_OPTIMIZERS


def _kind(plain: Plain, name: str) -> str | None:
    """What a file is, with the way out; None if it is not known."""
    if isinstance(plain, ForeignObject):
        return _object(plain)
    if name == _SAVED_MODEL:
        return SAVED_MODEL.removeprefix("it ")
    if is_optimizer(plain):
        return (
            "is the state of an optimizer alone (torch.save(optimizer.state_dict(), ...)): give the file of the "
            "model's, torch.save(model.state_dict(), ...)"
        )
    if isinstance(plain, list) and plain and all(isinstance(line, str) for line in plain):
        return f"is a text or a list of words (the first: {printable(plain[0][:40])!r}): {_ADVICE}"
    if name == _EXPORT:
        return f"is no export of fastai with a network in it: {_LEARNER}"
    if isinstance(plain, Mapping):
        keys = ", ".join(printable(str(key)[:40]) for key in list(plain)[:4])
        return (
            f"is a dictionary without tensors (keys {keys}): {_ADVICE}"
            if plain
            else f"is an empty dictionary: {_ADVICE}"
        )
    return None


def _object(stub: ForeignObject) -> str:
    kind = stub.name.rpartition(".")[2]
    if stub.name.startswith("sklearn."):
        return (
            f"is a {kind} of sklearn, which is no neural network with recurrent layers. It may lie beside one: a "
            "scaler, or a LabelEncoder; add the file with the network's weights as another --checkpoint"
        )
    if stub.name.startswith(_EXPORTS):
        return f"is an object of fastai ({kind}) without tensors that can be read without running its code: {_LEARNER}"
    return f"is an object of the class {stub.name} without tensors: {_ADVICE}"
