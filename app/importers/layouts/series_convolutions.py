"""Networks over series with convolutions that are no plain chain, recognised by their structure: residual blocks before
the recurrence (a ResNet over time), or a branch of convolutions beside it (LSTM-FCN: Karim et al. 2018).

Without its convolutions, such a network is one of `general_series`, which reads the rest.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from app.importers.blocks import Branch, Residual, block_of, branch_in, in_order, residual_in
from app.importers.checkpoint import Checkpoint
from app.importers.general_chain import known_chain
from app.importers.layout import Columns, Converted, Given, Layout, Needs, Understanding, require
from app.importers.layouts.general_series import SeriesClassifier, SeriesForecaster, source_doubts
from app.importers.options import Option
from app.importers.parts import prefixed
from app.store.block import Block
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster

_STRIDES = Option("strides", "the stride of the first convolution of each residual block", depends="2 halves the steps")
_STEM_STRIDE = Option("stem_stride", "the stride of the first convolution", "2", kind="whole", most=64)
_STEM_POOL = Option("stem_pool", "steps of the maximum after the first convolution, every second one; 0: none", "3")
_ORDER = Option(
    "order",
    "what the head reads first: the recurrence or the convolutions",
    "recurrence",
    ("recurrence", "convolutions"),
    readings=("recurrence", "convolutions"),
)


class _WithConvolutions(Layout):
    """`rest` reads the network without its convolutions."""

    rest: SeriesClassifier | SeriesForecaster

    @abstractmethod
    def found(self, checkpoint: Checkpoint) -> Residual | Branch | None: ...

    def matches(self, checkpoint: Checkpoint) -> bool:
        found = self.found(checkpoint)
        if found is None or not self.rest.fits(found.rest):
            return False
        has_labels = known_chain(found.rest).outputs > 1 or SeriesClassifier().matches(found.rest)
        return has_labels == self.rest.is_classifier

    def fits(self, checkpoint: Checkpoint) -> bool:
        found = self.found(checkpoint)
        return found is not None and self.rest.fits(found.rest)

    def known(self, checkpoint: Checkpoint) -> Residual | Branch:
        found = self.found(checkpoint)
        require(found is not None, f"this is no network of layout {self.name}: choose another --layout")
        assert found is not None
        return found

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        found = self.known(checkpoint)
        needs = self.rest.needs(found.rest, chosen)
        targets = needs.columns.targets if needs.columns else ()
        return Needs(labels=needs.labels, columns=Columns(found.channels, targets))


class _Residual(_WithConvolutions):
    def found(self, checkpoint: Checkpoint) -> Residual | None:
        found = checkpoint.once(residual_in)
        if found is None or not self.rest.fits(found.rest):
            return None
        return found if known_chain(found.rest).features == found.blocks[-1].width else None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        found = self.known(checkpoint)
        assert isinstance(found, Residual)
        understood = self.rest.understanding(found.rest)
        widths = ", ".join(str(block.width) for block in found.blocks)
        stem = "a convolution and " if found.stem else ""
        fact = f"over {found.channels} numbers a step: {stem}residual blocks of {widths}"
        doubts = [
            doubt for doubt in understood.unsure if doubt not in source_doubts(found.rest, known_chain(found.rest))
        ]
        return Understanding(
            [fact, *understood.facts], ["strides of the convolutions are not in the file (strides)", *doubts]
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        found = self.known(checkpoint)
        assert isinstance(found, Residual)
        usual = ",".join("2" if block.starts_stage else "1" for block in found.blocks)
        strides = Option(_STRIDES.name, _STRIDES.meaning, usual, depends=_STRIDES.depends)
        stem = [_STEM_STRIDE, _STEM_POOL] if found.stem is not None else []
        return [*stem, strides, *self.rest.options(found.rest)]

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        found, values = self.known(checkpoint), given.values
        assert isinstance(found, Residual)
        strides = values.text("strides").replace(" ", "").split(",")
        require(
            len(strides) == len(found.blocks)
            and all(stride.isdecimal() and 0 < int(stride) <= 64 for stride in strides),
            f"--set strides={values.text('strides')}: give {len(found.blocks)} numbers from 1 to 64, "
            "one for each block",
        )
        blocks: list[Block] = []
        tensors: dict[str, Tensor] = {}
        if found.stem is not None and found.stem_norm is not None:
            pool = values.number("stem_pool")
            block, mine = block_of(
                (found.stem, found.stem_norm), stride=values.number("stem_stride"), pool=pool if pool > 0 else None
            )
            blocks.append(block)
            tensors |= prefixed(mine, "0.")
        for block_found, stride in zip(found.blocks, map(int, strides), strict=True):
            changes = block_found.inputs != block_found.width or stride != 1
            require(
                changes == block_found.has_shortcut or not changes,
                f"--set strides={values.text('strides')}: a block without a convolution in its shortcut has stride 1",
            )
            require(
                changes == block_found.has_shortcut,
                "a residual block has a convolution in its shortcut although nothing changes there: give its stride",
            )
            tensors |= prefixed(block_found.tensors, f"{len(blocks)}.")
            blocks.append(
                Block.model_validate(
                    {
                        "kind": "residual",
                        "width": block_found.width,
                        "kernels": block_found.kernels,
                        "stride": stride,
                    }
                )
            )
        return _with_front(self.rest.convert(found.rest, given), found.channels, blocks, tensors)


class _Fcn(_WithConvolutions):
    def found(self, checkpoint: Checkpoint) -> Branch | None:
        found = checkpoint.once(branch_in)
        return found if found is not None and self.rest.fits(found.rest) else None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        found = self.known(checkpoint)
        assert isinstance(found, Branch)
        understood = self.rest.understanding(found.rest)
        sizes = ", ".join(f"{layer.weight.shape[2]} x {layer.outputs}" for layer, _ in found.layers)
        facts = [f"beside the recurrence: convolutions {sizes} over {found.channels} numbers a step, and their mean"]
        unsure = ["which part the head reads first is not in the file (order)"]
        if (steps := _shuffled(found)) is not None:
            facts.append(f"the recurrence reads features as steps, each with {steps} numbers: the window")
        return Understanding([*facts, *understood.facts], [*unsure, *understood.unsure])

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        found = self.known(checkpoint)
        assert isinstance(found, Branch)
        window = _shuffled(found)
        others = self.rest.options(found.rest)
        return [_ORDER, *(option for option in others if option.name != "window" or window is None)]

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        found, values = self.known(checkpoint), given.values
        assert isinstance(found, Branch)
        window = _shuffled(found)
        if window is not None:
            given = given.with_values({"window": str(window)})
        branch, columns = in_order(found, recurrent_first=values.text("order") == "recurrence")
        converted = self.rest.convert(branch.rest, given)
        blocks = [block_of(layer) for layer in found.layers]
        tensors = dict(converted.tensors)
        first = "head.0.weight" if "head.0.weight" in tensors else "output.weight"
        rows = len(tensors[first])
        doubled = torch.cat((columns.new_zeros(rows - len(columns), columns.shape[1]), columns))
        tensors[first] = torch.cat((tensors[first], doubled), 1)
        for number, (_, mine) in enumerate(blocks):
            tensors |= prefixed(mine, f"encoder.branch.{number}.")
        return _changed(
            converted,
            tensors,
            {"features": found.channels, "branch": tuple(block for block, _ in blocks), "transposed": window},
        )


def _shuffled(found: Branch) -> int | None:
    """The window, if the recurrence reads features as steps: then its inputs are not the features of a step."""
    size = known_chain(found.rest).features
    return None if size == found.channels else size


def _with_front(
    converted: Converted, channels: int, blocks: Sequence[Block], tensors: Mapping[str, Tensor]
) -> Converted:
    """With these blocks before the other stages of `front`."""
    encoder = converted.architecture.encoder
    assert isinstance(encoder, SeriesEncoder)
    moved = {}
    for key, tensor in converted.tensors.items():
        if key.startswith("encoder.front."):
            number, _, name = key.removeprefix("encoder.front.").partition(".")
            key = f"encoder.front.{int(number) + len(blocks)}.{name}"
        moved[key] = tensor
    moved |= prefixed(tensors, "encoder.front.")
    return _changed(converted, moved, {"features": channels, "front": (*blocks, *encoder.front)})


def _changed(converted: Converted, tensors: Mapping[str, Tensor], changes: Mapping[str, Any]) -> Converted:
    """With other members of the encoder, validated anew."""
    architecture = converted.architecture
    assert isinstance(architecture, Classifier | Forecaster)
    members = architecture.encoder.model_dump() | dict(changes)
    whole = architecture.model_dump() | {"encoder": SeriesEncoder.model_validate(members)}
    return Converted(architecture=type(architecture).model_validate(whole), tensors=tensors, series=converted.series)


class ResNetClassifier(_Residual):
    """Basic blocks of 1-D convolutions, by the names of torchvision or others."""

    name = "resnet-lstm-classifier"
    source = "a classifier of series with residual blocks before the recurrence, recognised by its structure"
    rest = SeriesClassifier()


class ResNetForecaster(_Residual):
    """As the classifier."""

    name = "resnet-lstm-forecaster"
    source = "a forecaster of series with residual blocks before the recurrence, recognised by its structure"
    rest = SeriesForecaster()


class FcnClassifier(_Fcn):
    """tsai's `RNN_FCN`, `LSTM_FCN` and `GRU_FCN`, and their like."""

    name = "lstm-fcn-classifier"
    source = "a classifier of series with convolutions beside the recurrence, recognised by its structure"
    rest = SeriesClassifier()


class FcnForecaster(_Fcn):
    """As the classifier."""

    name = "lstm-fcn-forecaster"
    source = "a forecaster of series with convolutions beside the recurrence, recognised by its structure"
    rest = SeriesForecaster()
