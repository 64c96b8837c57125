"""Recipe of `caption-en`: photo to English sentence, ResNet-LSTM with gated attention over the 7 x 7 grid.

The network is that of Xu et al. (2015) over a thin ResNet-50 that starts from Yahoo's open_nsfw weights. The decoder
is trained over fixed feature maps first, then both are trained together, and last the decoder alone by the scores of
captions that it samples (Rennie et al. 2017).

    python -m training.caption_en --data data
"""

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm

from app.models.encoders import ImageEncoder as ImageEncoderModule
from app.models.networks import EncoderDecoder
from app.store.attention import Attention
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder as Architecture
from app.store.image_encoder import ImageEncoder
from app.store.image_input import ImageInput
from app.store.manifest import Manifest
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from training.captions import (
    LONGEST,
    CiderReward,
    bleu,
    caption_rows,
    cider,
    each_cider,
    plain_caption,
    sentence_bleu,
    served,
)
from training.cards import CardText
from training.confidence import Judged
from training.data import Photo, read_flickr8k
from training.loop import BOS, EOS, PAD, UNK, Schedule, best_device, chunks, fit, next_token_loss, pad_rows
from training.open_nsfw import ARCHITECTURE, MEAN, STD, read_open_nsfw
from training.recipe import Calibration, Figure, Recipe, Shipped
from training.self_critical import self_critical_loss
from training.subwords import train_subwords


@dataclass(frozen=True)
class Config:
    """The options of this recipe."""

    vocabulary: int = 3500
    dropout: float = 0.4
    label_smoothing: float = 0.1
    photos_per_batch: int = 24
    slow_resnet: float = 0.15  # factor on the ResNet's learning rate
    seed: int = 1
    decoder_alone: Schedule = field(default_factory=lambda: Schedule(epochs=6, learning_rate=1.5e-3))
    together: Schedule = field(default_factory=lambda: Schedule(epochs=2, learning_rate=5e-4))
    samples: int = 5  # captions of a photo that are compared with each other
    bleu_share: float = 2.0  # of BLEU-4, from 0 to 1, in their score, beside CIDEr-D
    rewarded: Schedule = field(
        default_factory=lambda: Schedule(epochs=8, learning_rate=1.5e-4, average=0.99, weight_decay=0, patience=8)
    )

    def architecture(self) -> Architecture:
        decoder = Decoder(
            vocabulary_size=self.vocabulary,
            embedding_size=256,
            cell="lstm",
            hidden_size=384,
            attention=Attention(kind="gated", size=256),
            context="input",
            readout=("hidden", "context", "embedding"),
            readout_size=256,
            tied_output=True,
            bridge="tanh",
        )
        return Architecture(encoder=ImageEncoder(resnet=ARCHITECTURE), decoder=decoder)


CONFIG = Config()
SUPPRESSED = (PAD, BOS, UNK)
BEAMS = 4  # usual in papers
ACCEPTABLE = 0.5  # CIDEr-D of a caption against its references
JUDGED = 1000  # photos of the dev split: all of them
CARD = CardText(
    data="""Flickr8k (Hodosh, Young and Hockenmaier 2013): 8,091 photos with five captions each, in the
published split of 6,000, 1,000 and 1,000; photos as 224 x 224 squares, squashed. Captions are lower
case words without punctuation; two that are only "a" are dropped. The ResNet starts from Yahoo's
open_nsfw (out of the source archive of the package nsfw 0.3.2), a thin ResNet-50 trained on
ImageNet and then on a private set of photos for nudity detection; its classifier is not used. The
decoder learns over fixed feature maps first, then both learn together, with flips and random
windows: that was version 1. Version 2 goes on with the decoder alone for twelve epochs: it samples five
captions of a photo, and makes those with a higher score than the others more probable (self-critical
training). The score is CIDEr-D in the first eight, and CIDEr-D and twice BLEU in the last four; the shipped
weights are the mean of those of the seventh and of the twelfth. The recipe takes both scores from the
first, for eight epochs.""",
    limits="""Everyday photos of people and dogs, mostly outdoors: that is what Flickr8k shows. Other
subjects are described as if they were those. Captions are more alike than those of version 1 (629
different ones for 1,000 photos, 731 before): that is the price of learning from scores. Counts, colours
and small objects are often wrong; a person's sex and age are guessed from clothes and hair and may be
wrong or hurtful. Nothing here tells what is not in the picture. Do not use it to decide about people.""",
    terms="""Flickr8k: for research and education; the photos belong to their Flickr owners. open_nsfw: BSD
2-clause, Copyright 2016, Yahoo Inc. Weights: Apache-2.0, as the rest of this repository.""",
)


def read_pixels(data: Path, photos: list[Photo]) -> Tensor:
    """All photos as uint8 (photos, 224, 224, 3)."""
    place = {f"flickr8k/images/{photo.file}": index for index, photo in enumerate(photos)}
    pixels = np.zeros((len(photos), 224, 224, 3), np.uint8)
    with tarfile.open(data / "flickr8k.tar") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name in place else None
            if file is not None:
                pixels[place[member.name]] = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
    return torch.from_numpy(pixels)


def augment(pixels: Tensor) -> Tensor:
    """Flip half of the photos and take a random window of at least 80 % of each side: (batch, 224, 224, 3)."""
    changed = []
    for photo in pixels.permute(0, 3, 1, 2):
        if torch.rand(()) < 0.5:
            photo = photo.flip(2)
        height, width = torch.randint(180, 225, (2,)).tolist()
        top, left = int(torch.randint(0, 225 - height, ())), int(torch.randint(0, 225 - width, ()))
        window = photo[None, :, top : top + height, left : left + width].float()
        changed.append(nn.functional.interpolate(window, size=(224, 224), mode="bilinear"))
    return torch.cat(changed).permute(0, 2, 3, 1)


def captions_of(tokenizer: Tokenizer, photo: Photo) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch([plain_caption(text) for text in photo.captions])]


def train(data: Path, folder: Path, epochs: int | None) -> None:
    config = CONFIG
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    photos, dev = read_flickr8k(data, "train"), read_flickr8k(data, "dev")
    subwords = folder / "tokenizer.json"
    if not subwords.exists():
        texts = (plain_caption(text) for photo in photos for text in photo.captions)
        train_subwords(texts, size=config.vocabulary, lowercase=True).save(str(subwords))
    tokenizer = Tokenizer.from_file(str(subwords))
    captions = [captions_of(tokenizer, photo) for photo in photos]
    network = EncoderDecoder(config.architecture(), dropout=config.dropout, mean=MEAN, std=STD)
    encoder = network.encoder
    assert isinstance(encoder, ImageEncoderModule)
    encoder.resnet.load_state_dict(read_open_nsfw(data))
    device = best_device()
    network.to(device)
    decoder = network.decoder
    click.echo(f"{len(photos)} photos, {sum(parameter.numel() for parameter in network.parameters())} parameters")
    pixels, dev_pixels = read_pixels(data, photos), read_pixels(data, dev)

    def batches(epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        order = torch.randperm(len(photos), generator=generator).tolist()
        return [list(part) for part in chunks(order, config.photos_per_batch)]

    def feature_maps(file: Path) -> Tensor:
        """Those of all photos and of their mirror images (2, photos, features, 7, 7) by the ResNet of now, or of an
        earlier call with this file."""
        if not file.exists():
            network.eval()
            with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
                parts = [
                    torch.stack([encoder.feature_map(side.to(device)) for side in (part, part.flip(2))]).half().cpu()
                    for part in tqdm(torch.split(pixels, 32), desc="feature maps", mininterval=5)
                ]
            unfinished = file.with_suffix(".new.npy")
            np.save(unfinished, torch.cat(parts, 1).numpy())
            unfinished.replace(file)
        return torch.from_numpy(np.load(file, mmap_mode="c"))

    def loss_over(grids: Tensor, batch: list[int]) -> Tensor:
        """Cross entropy of all captions of a batch of photos, given their feature maps (photos, features, 7, 7)."""
        rows = [(place, caption) for place, photo in enumerate(batch) for caption in captions[photo]]
        targets, _ = pad_rows([[BOS, *caption, EOS] for _, caption in rows], device)
        state = decoder.start(encoder.encode_grid(grids[[place for place, _ in rows]]))
        logits = decoder.unroll(targets[:, :-1], state)
        return next_token_loss(logits, targets[:, 1:], label_smoothing=config.label_smoothing)

    def greedy_captions(averaged: nn.Module) -> list[str]:
        """Those of the dev photos."""
        assert isinstance(averaged, EncoderDecoder)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return tokenizer.decode_batch(caption_rows(averaged, dev_pixels))

    def a_side(grids: Tensor, batch: list[int]) -> Tensor:
        """Feature maps of a batch of photos, or of all their mirror images."""
        return grids[int(torch.randint(0, 2, ()))][batch].float().to(device)

    def decoder_loss(batch: list[int]) -> Tensor:
        return loss_over(a_side(first_grids, batch), batch)

    def whole_loss(batch: list[int]) -> Tensor:
        encoder.eval()  # keep the statistics of batch normalisation
        return loss_over(encoder.feature_map(augment(pixels[batch]).to(device)), batch)

    def rewarded_loss(batch: list[int]) -> Tensor:
        network.eval()  # samples are those of the network as it is served

        def rewards(place: int, answers: list[list[int]]) -> list[float]:
            photo = batch[place]
            return [
                cider_of(photo, text, ended=answer[-1] == EOS) + config.bleu_share * sentence_bleu(text, photos[photo])
                for text, answer in zip(tokenizer.decode_batch(answers), answers, strict=True)
            ]

        return self_critical_loss(
            decoder,
            decoder.start(encoder.encode_grid(a_side(last_grids, batch))),
            rewards,
            samples=config.samples,
            forbidden=SUPPRESSED,
            longest=LONGEST,
        )

    first_grids = feature_maps(folder / "grids.npy")
    encoder.requires_grad_(False)
    fit(
        network,
        config.decoder_alone.for_trial(epochs),
        batches=batches,
        loss=decoder_loss,
        score=lambda averaged: bleu(greedy_captions(averaged), dev),
        folder=folder / "decoder",
    )
    encoder.requires_grad_(True)
    fit(
        network,
        config.together.for_trial(epochs),
        batches=batches,
        loss=whole_loss,
        score=lambda averaged: bleu(greedy_captions(averaged), dev),
        folder=folder / "together",
        rate_of=lambda name: config.slow_resnet if name.startswith("encoder.") else 1.0,
    )
    last_grids = feature_maps(folder / "grids-together.npy")
    cider_of = CiderReward([photo.captions for photo in photos])
    encoder.requires_grad_(False)
    fit(
        network,
        config.rewarded.for_trial(epochs),
        batches=batches,
        loss=rewarded_loss,
        score=lambda averaged: cider(greedy_captions(averaged), dev),
        folder=folder,
    )


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    network, tokenizer, manifest = shipped.network, shipped.tokenizer, shipped.manifest
    assert isinstance(network, EncoderDecoder)
    assert manifest.image is not None
    test = read_flickr8k(data, "test")
    pixels = read_pixels(data, test)
    where = f"Flickr8k test, {len(test)} photos"
    figures = []
    for way, rows in (
        ("greedy", caption_rows(network, pixels)),
        (f"beam {BEAMS}", [hypothesis.tokens for hypothesis in served(shipped, pixels, beams=BEAMS)]),
    ):
        captions = [tokenizer.decode(row) for row in rows]
        figures += [
            Figure(f"BLEU-4, {way}", bleu(captions, test), f"{where}, 5 references each"),
            Figure(f"CIDEr-D, {way}", cider(captions, test), f"{where}, 5 references each"),
            Figure(f"distinct captions, {way}", float(len(set(captions))), where),
        ]
    return figures


def judged(shipped: Shipped, data: Path, beams: int) -> list[Judged]:
    """Captions of the first dev photos, judged by the CIDEr-D of each."""
    photos = read_flickr8k(data, "dev")[:JUDGED]
    answers = served(shipped, read_pixels(data, photos), beams=beams)
    scores = each_cider([shipped.tokenizer.decode(answer.tokens) for answer in answers], photos)
    return [
        Judged(sum(answer.log_probs) / max(1, len(answer.log_probs)), score >= ACCEPTABLE)
        for answer, score in zip(answers, scores, strict=True)
    ]


RECIPE = Recipe(
    draft=Manifest(
        name="caption-en",
        version=1,
        task="captioning",
        description="A photo described in one English sentence: ResNet-LSTM with attention over the image grid.",
        default=True,
        precision="int8",
        target_language="en",
        architecture=CONFIG.architecture(),
        tokenizer=TokenizerUse(white_space="plain"),
        image=ImageInput(size=224, mean=(MEAN[0], MEAN[1], MEAN[2]), std=(STD[0], STD[1], STD[2])),
        decoding=Decoding(bos=BOS, eos=EOS, suppress=SUPPRESSED, max_tokens=30),
        limits=TokenLimits(max_tokens=100),
        parameters=1,
        files={},
        licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
        training=Training(recipe="python -m training.caption_en", minutes=80),
    ),
    card=CARD,
    train=train,
    measure=measure,
    calibration=Calibration(
        acceptable=f"""CIDEr-D (Vedantam et al. 2015) of at least {ACCEPTABLE} against the five references,
on the first {JUDGED} photos of Flickr8k dev. That is a proxy: some captions above it are wrong in a detail, some below
it are right in other words.""",
        judged=judged,
        beams=BEAMS,
    ),
)

if __name__ == "__main__":
    RECIPE.command()()
