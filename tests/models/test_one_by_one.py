"""Images in float32: an image in a batch gives the same bits as in plain torch, alone."""

import torch

from app.models.encoders import ImageEncoder
from app.models.networks import build_network
from app.models.serving.precision import prepare
from tests.tiny_store import drafts


def test_numbers_are_those_of_the_training_code() -> None:
    draft = next(draft for draft in drafts() if draft.image is not None)
    assert draft.image is not None
    size, mean, std = draft.image.size, list(draft.image.mean), list(draft.image.std)
    network = build_network(draft.architecture, mean=mean, std=std).eval()
    assert isinstance(network.encoder, ImageEncoder)
    images = torch.randint(0, 256, (5, size, size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = []
        for image in images:
            shares = (
                image.permute(2, 0, 1).contiguous().float().div(255)
            )  # ToTensor, then Normalize, as torchvision has them
            pixels = (shares - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
            expected.append(network.encoder.resnet(pixels[None]))
        prepare(network, "float32", torch.device("cpu"))
        assert torch.equal(network.encoder.feature_map(images), torch.cat(expected))
