"""A ResNet over images in a checkpoint, apart from what follows it, and how images were normalised."""

from dataclasses import dataclass

from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.options import Option
from app.importers.parts import prefixed, under
from app.importers.torchvision import IMAGENET_MEAN, IMAGENET_STD, resnet_by_name, torchvision_resnet
from app.store.image_encoder import ResNet

NORMALISATIONS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
NORMALISATION = Option(
    "normalisation",
    "imagenet: ImageNet's mean and std; half: 0.5 and 0.5; none: 0 to 1",
    "imagenet",
    tuple(NORMALISATIONS),
    readings=tuple(NORMALISATIONS),
)


@dataclass(frozen=True)
class Images:
    """The children of a ResNet, and the tensors of the other parts. Its `fc` may be a layer that was put in its
    place."""

    children: Tensors
    is_numbered: bool
    rest: Tensors

    def resnet(self) -> tuple[ResNet, dict[str, Tensor]]:
        """Raises ImportFailed if it is none of torchvision."""
        return torchvision_resnet(self.children, numbered=self.is_numbered)


def images_in(checkpoint: Checkpoint) -> Images | None:
    """None if the checkpoint has no ResNet, or images through something else, too."""
    tensors = _together(checkpoint)
    found = resnet_by_name(tensors) if tensors else None
    if tensors is None or found is None:
        return None
    prefix, is_numbered = found
    head = f"{prefix}fc."
    rest = {key: tensor for key, tensor in tensors.items() if not key.startswith(prefix) or key.startswith(head)}
    if any(tensor.dim() > 3 for tensor in rest.values()):
        return None
    mine = under(tensors, prefix)
    children = mine if is_numbered else {key: tensor for key, tensor in mine.items() if not key.startswith("fc.")}
    return Images(children, is_numbered, rest)


def _together(checkpoint: Checkpoint) -> Tensors | None:
    """One state dict, or an encoder and a decoder, the one with images first."""
    if checkpoint.single is not None:
        return checkpoint.single
    if len(checkpoint.networks) != 2:
        return None
    one, other = checkpoint.networks.values()
    encoder, decoder = (one, other) if any(tensor.dim() == 4 for tensor in one.values()) else (other, one)
    return prefixed(encoder, "encoder.") | prefixed(decoder, "decoder.")
