"""Captions in training and measurement: lower-case words without punctuation."""

import re
from collections.abc import Sequence

import torch
from pycocoevalcap.cider.cider import Cider
from sacrebleu.metrics import BLEU  # type: ignore[attr-defined]
from torch import Tensor

from app.engine.protocol import Decode, Hypothesis, Pixels
from app.models.networks import EncoderDecoder
from training.data import Photo
from training.loop import device_of, greedy
from training.recipe import Shipped
from training.searching import hypotheses

LONGEST = 24


def plain_caption(text: str) -> str:
    """Lower case, with letters, digits, apostrophes and hyphens only, as captions are usually scored."""
    return " ".join(re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", text.lower()))


def bleu(captions: Sequence[str], photos: Sequence[Photo]) -> float:
    """Corpus BLEU-4 from 0 to 1 against all references of each photo, without smoothing (Papineni et al. 2002)."""
    references = [[plain_caption(text) for text in photo.captions] for photo in photos]
    columns = [[row[index] if index < len(row) else row[0] for row in references] for index in range(5)]
    scorer = BLEU(tokenize="none", smooth_method="none", force=True)
    return float(scorer.corpus_score([plain_caption(text) for text in captions], columns).score) / 100


def cider(captions: Sequence[str], photos: Sequence[Photo]) -> float:
    """CIDEr-D (Vedantam et al. 2015) against all references of each photo, by pycocoevalcap; 1 is 100 % in papers."""
    return float(_cider(captions, photos)[0])


def _cider(captions: Sequence[str], photos: Sequence[Photo]) -> tuple[float, Sequence[float]]:
    references = {number: [plain_caption(text) for text in photo.captions] for number, photo in enumerate(photos)}
    answers = {number: [plain_caption(text)] for number, text in enumerate(captions)}
    mean, each = Cider().compute_score(references, answers)
    return mean, each


def each_cider(captions: Sequence[str], photos: Sequence[Photo]) -> list[float]:
    """CIDEr-D of each caption, with the document frequencies of all references."""
    return [float(score) for score in _cider(captions, photos)[1]]


def served(shipped: Shipped, pixels: Tensor, *, beams: int) -> list[Hypothesis]:
    """Captions as they are served, for photos as uint8 (photos, 224, 224, 3)."""
    sources = [Pixels(image.shape[0], image.numpy().tobytes()) for image in pixels]
    return list(hypotheses(shipped, sources, Decode(max_tokens=LONGEST, beams=beams)))


def caption_rows(network: EncoderDecoder, pixels: Tensor) -> list[list[int]]:
    """Token ids of greedy captions for photos as uint8 (photos, 224, 224, 3)."""
    rows: list[list[int]] = []
    for start in range(0, len(pixels), 50):
        images = pixels[start : start + 50].to(device_of(network))
        one_each = torch.ones(len(images), dtype=torch.long, device=images.device)
        rows += greedy(network, images, one_each, longest=LONGEST)
    return rows
