"""What the tasks answer to output tensors of the Open Inference Protocol, those that are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.compat.open_inference.binary import pack_bytes, pack_floats
from app.api.compat.open_inference.schemas import OutputTensor, RequestedOutput
from app.api.compat.open_inference.tensors import SCORES, SENTENCES, Tensor, outputs_of
from app.errors import InputError
from app.store.manifest import Manifest
from app.tasks.answers.results import SentenceResult, SentimentResult

_PLACES = "f"  # of a score in a classification: six, as Triton tells it


@dataclass(frozen=True)
class Told:
    """An output tensor with its elements row by row."""

    tensor: Tensor
    values: Sequence[str] | Sequence[float]
    columns: int | None = None

    def labelled(self, most: int, labels: Sequence[str]) -> "Told":
        """The classification of scores: of each row the best, as `score:index:label`."""
        assert self.columns is not None
        most = min(most, self.columns)
        best: list[str] = []
        for begin in range(0, len(self.values), self.columns):
            row = [float(value) for value in self.values[begin : begin + self.columns]]
            ranked = sorted(range(self.columns), key=row.__getitem__, reverse=True)[:most]
            best += [f"{row[place]:{_PLACES}}:{place}:{labels[place]}" for place in ranked]
        return Told(Tensor(self.tensor.name, "BYTES"), best, most)

    def encoded(self, *, binary: bool) -> tuple[OutputTensor, bytes]:
        """What the JSON says, and what stands behind it."""
        rows = len(self.values) // (self.columns or 1)
        shape = [rows] if self.columns is None else [rows, self.columns]
        head = OutputTensor(name=self.tensor.name, datatype=self.tensor.datatype, shape=shape)
        if not binary:
            return head.model_copy(update={"data": self.values}), b""
        content = pack_bytes(self.values) if self.tensor.datatype == "BYTES" else pack_floats(self.values)  # type: ignore[arg-type]
        return head.model_copy(update={"parameters": {"binary_data_size": len(content)}}), content


def labels_told(results: Sequence[SentimentResult], manifest: Manifest) -> list[Told]:
    """The outputs of a model that labels."""
    label, score, polarity, scores = outputs_of(manifest)
    return [
        Told(label, [result.label for result in results]),
        Told(score, [result.score for result in results]),
        Told(polarity, [result.polarity for result in results]),
        Told(scores, [value for result in results for value in result.scores.values()], len(manifest.labels)),
    ]


def sentences_told(results: Sequence[SentenceResult]) -> list[Told]:
    """The outputs of a model that emits."""
    text, score, reason = SENTENCES
    return [
        Told(text, [result.text for result in results]),
        Told(score, [result.score for result in results]),
        Told(reason, [result.finish_reason for result in results]),
    ]


def check_outputs(asked: Sequence[RequestedOutput], manifest: Manifest) -> None:
    """Raises InputError, before any work is done."""
    there = [tensor.name for tensor in outputs_of(manifest)]
    seen: set[str] = set()
    for place, output in enumerate(asked):
        if output.name not in there:
            raise InputError(f"outputs[{place}] is {output.name!r}; {manifest.name} has {', '.join(there)}")
        if output.name in seen:
            raise InputError(f"outputs[{place}] asks for {output.name} again; name each output once")
        seen.add(output.name)
        if output.parameters and output.parameters.classification and output.name != SCORES:
            raise InputError(f"outputs[{place}] asks for a classification of {output.name}; only scores have one")


def encoded(
    told: Sequence[Told], asked: Sequence[RequestedOutput], manifest: Manifest, *, binary: bool
) -> tuple[list[OutputTensor], bytes]:
    """The outputs that are asked for, or all. `binary` is how those are told that do not say it themselves."""
    by_name = {one.tensor.name: one for one in told}
    heads, tails = [], []
    for output in asked or [RequestedOutput(name=name) for name in by_name]:
        one, parameters = by_name[output.name], output.parameters
        if parameters and parameters.classification:
            one = one.labelled(parameters.classification, manifest.labels)
        own = parameters.binary_data if parameters else None
        head, tail = one.encoded(binary=binary if own is None else own)
        heads.append(head)
        tails.append(tail)
    return heads, b"".join(tails)
