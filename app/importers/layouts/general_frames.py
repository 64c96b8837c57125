"""Classifiers of clips, recognised by their structure: a ResNet over each image, layers, recurrences, and a head.

One state dict, or an encoder and a decoder in two (HHTseng/video-classification).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from app.importers.chain import Chain, chain_of
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.general import Answer, Parts, answer_of, encoder_parts, options_of, setting_of, understanding_of
from app.importers.general_chain import one_or_two
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, require
from app.importers.options import Option
from app.importers.parts import linear, prefixed, under
from app.importers.structure import structure_of
from app.importers.torchvision import IMAGENET_MEAN, IMAGENET_STD, resnet_by_name, torchvision_resnet
from app.store.classifier import Classifier
from app.store.encoders import FramesEncoder
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.layer import Layer

NORMALISATIONS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
_SIZES = ("image_size", "img_size", "resize", "crop_size", "image_height", "img_height", "img_h", "img_x")
_FRAMES = ("num_frames", "n_frames", "frames", "max_frames", "sequence_length", "seq_len", "seq_length", "clip_len")
_FUNCTIONS = ("relu", "none", "tanh", "leaky_relu")


@dataclass(frozen=True)
class Clips:
    """A ResNet by torchvision's names, and the chain that follows it."""

    resnet: ResNet
    images: Mapping[str, Tensor]
    chain: Chain


class FramesClassifier(Layout):
    """The layers between the images and the recurrence are read as they are defined, with their batch norms."""

    name = "frames-classifier"
    source = "a classifier of clips, recognised by its structure"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return clips_in(checkpoint) is not None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        clips = _clips(checkpoint)
        understood = understanding_of(clips.chain, f"{clips.chain.outputs} labels of a clip")
        facts = [f"each image through a {clips.resnet.describe()}", *understood.facts]
        return Understanding(facts, [*understood.unsure, "size and normalisation of the images are not in the file"])

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        chain = _clips(checkpoint).chain
        size, frames = _whole(checkpoint, _SIZES, "224"), _whole(checkpoint, _FRAMES, "none")
        between = [option for option in options_of(chain) if not option.name.startswith("front_")]
        layers = [
            Option(
                "image_activation", "the function between the layers after the ResNet", "relu", _FUNCTIONS, assumed=True
            ),
            Option("embedding_activation", "the function after the last of these layers", "none", _FUNCTIONS),
        ]
        return [
            Option(
                "image_size", "side of the square that images were resized to", size, kind="whole", least=32, most=1024
            ),
            Option("frames", "images of a clip that are read, evenly spaced; none: all", frames),
            Option(
                "normalisation",
                "imagenet: ImageNet's mean and std; half: 0.5 and 0.5; none: 0 to 1",
                "imagenet",
                tuple(NORMALISATIONS),
                readings=tuple(NORMALISATIONS),
            ),
            *(layers if chain.front else []),
            *between,
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(labels=max(2, _clips(checkpoint).chain.outputs))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        clips, values = _clips(checkpoint), given.values
        chain = clips.chain
        head, tensors = _layers(chain, given)
        parts, answer = _after(chain, given)
        assert parts.recurrence is not None
        size, frames = values.number("image_size"), values.text("frames")
        require(
            frames == "none" or (frames.isdecimal() and 0 < int(frames) <= 1000),
            f"--set frames={frames}: use none or a number of images",
        )
        mean, std = NORMALISATIONS[values.text("normalisation")]
        encoder = FramesEncoder(
            image=ImageEncoder(resnet=clips.resnet, image_size=size, output="pooled"),
            head=head,
            recurrence=parts.recurrence,
            back=tuple(parts.back),
        )
        return Converted(
            architecture=Classifier.model_validate({"encoder": encoder, "labels": answer.outputs, **answer.members}),
            tensors={
                **prefixed(clips.images, "encoder.image.resnet."),
                **prefixed(tensors, "encoder.head."),
                **parts.tensors,
                **answer.tensors,
            },
            image=ImageInput.model_validate({"size": size, "reading": "plain", "mean": mean, "std": std}),
            frames=None if frames == "none" else int(frames),
        )


def _whole(checkpoint: Checkpoint, names: Sequence[str], otherwise: str) -> str:
    """A whole number that a file has under one of these names."""
    found = setting_of(checkpoint.settings, names) or ""
    return found if found.isdecimal() else otherwise


def clips_in(checkpoint: Checkpoint) -> Clips | None:
    """None if the checkpoint has no ResNet with a recurrence after it."""
    tensors = together(checkpoint)
    found = resnet_by_name(tensors) if tensors else None
    if tensors is None or found is None:
        return None
    prefix, is_numbered = found
    mine = under(tensors, prefix)
    rest = {
        key: tensor for key, tensor in tensors.items() if not key.startswith(prefix) or key.startswith(f"{prefix}fc.")
    }
    if any(tensor.dim() > 3 for tensor in rest.values()):
        return None
    chain = chain_of(structure_of(rest))
    if chain is None or chain.table is not None or chain.leftover or chain.crf is not None:
        return None
    children = mine if is_numbered else {key: tensor for key, tensor in mine.items() if not key.startswith("fc.")}
    resnet, images = torchvision_resnet(children, numbered=is_numbered)
    return Clips(resnet, images, chain) if chain.features == resnet.output_size else None


def _clips(checkpoint: Checkpoint) -> Clips:
    clips = clips_in(checkpoint)
    require(clips is not None, "this is no ResNet with a recurrence and a head after it: choose another --layout")
    assert clips is not None
    return clips


def together(checkpoint: Checkpoint) -> Tensors | None:
    """One state dict, or an encoder and a decoder, the one with images first."""
    if checkpoint.single is not None:
        return checkpoint.single
    if len(checkpoint.networks) != 2:
        return None
    one, other = checkpoint.networks.values()
    encoder, decoder = (one, other) if any(tensor.dim() == 4 for tensor in one.values()) else (other, one)
    return prefixed(encoder, "encoder.") | prefixed(decoder, "decoder.")


def _layers(chain: Chain, given: Given) -> tuple[tuple[Layer, ...], dict[str, Tensor]]:
    """The layers between ResNet and recurrence, each with the norm that follows it."""
    layers: list[Layer] = []
    tensors: dict[str, Tensor] = {}
    linears = [(group, norm) for group, norm in chain.front_layers if group.kind in ("linear", "table")]
    for number, (group, norm) in enumerate(linears):
        is_last = number == len(linears) - 1
        function = given.values.text("embedding_activation" if is_last else "image_activation")
        layers.append(
            Layer.model_validate({"size": group.outputs, "batch_norm": norm is not None, "activation": function})
        )
        tensors |= prefixed(linear(group.tensors, ""), f"{number}.")
        if norm is not None:
            tensors |= prefixed(norm.tensors, f"norm{number}.")
    return tuple(layers), tensors


def _after(chain: Chain, given: Given) -> tuple[Parts, Answer]:
    """Recurrences and head, without what is before them."""
    plain = Chain(**{**vars(chain), "front": ()})
    require(len(chain.recurrences) == 1, "several recurrences over frames are not supported")
    return encoder_parts(plain, given.values), one_or_two(answer_of(plain, given.values))
