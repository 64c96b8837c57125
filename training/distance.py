"""How far back a trained classifier of one direction hears: gradients, and a decisive sentence before neutral ones."""

import math
from collections.abc import Sequence
from itertools import cycle, islice

import torch
from torch import Tensor

from app.models.networks import Classifier
from app.text.tokenizer import SubwordTokenizer
from training.classify import positive_logit

PRAISE = ("wonderful", "brilliant", "delightful", "superb", "moving", "hilarious", "gripping", "charming")
BLAME = ("terrible", "boring", "dreadful", "awful", "pathetic", "clumsy", "dull", "unwatchable")
FRAMES = ("This film is {}.", "I thought it was {}.", "The acting is {}.", "What a {} story.")
NEUTRAL = (
    "The film was shot in two cities.",
    "It was released in the spring.",
    "The first scene takes place in a kitchen.",
    "A man walks down the street with a bag.",
    "The main character works in an office.",
    "There are four people in the car.",
    "The story takes place in the summer.",
    "The train leaves in the morning.",
    "His sister lives in another town.",
    "The second part is set by the sea.",
    "They meet again at the station.",
    "The house has two floors and a garden.",
    "The film lasts about two hours.",
    "She reads a letter at the table.",
    "The music was recorded in a studio.",
    "In the evening they go to a restaurant.",
)


def gradient_norms(network: Classifier, rows: Sequence[list[int]], *, of: str) -> list[float]:
    """The influence of each of the last tokens, by distance from the end.

    rows are token ids of equal length. `of` is `label`, the log-odds of label 1, or `memory`, a fixed direction of the
    last hidden state. The norm of its gradient in the embedded token, as a geometric mean over rows, divided by that
    of the last token (cf. Pascanu et al. 2013, section 2.1).
    """
    tokens = torch.tensor(rows)
    lengths = torch.full((len(rows),), tokens.shape[1])
    encoder = network.encoder
    embedded = encoder.embedding(tokens).detach().requires_grad_()
    outputs, _ = encoder.recurrence.unroll(embedded, lengths)
    if of == "memory":
        direction = torch.randn(outputs.shape[2], generator=torch.Generator().manual_seed(0))
        value = (outputs[:, -1] @ (direction / direction.norm()).to(outputs.dtype)).sum()
    else:
        pooled = {"last": outputs[:, -1], "max": outputs.amax(1), "mean": outputs.mean(1)}
        logits = network.output(torch.cat([pooled[name] for name in network.config.pooling], 1))
        value = (logits[:, 1] - logits[:, 0]).sum()
    (gradient,) = torch.autograd.grad(value, embedded)
    norms = gradient.norm(dim=2).clamp(min=1e-30).log().mean(0).flip(0)  # by distance
    relative: list[float] = (norms - norms[0]).exp().tolist()
    return relative


def decisive_texts() -> list[tuple[str, int]]:
    """Sentences that decide the label, and the label."""
    pairs = [(word, 1) for word in PRAISE] + [(word, 0) for word in BLAME]
    return [(frame.format(word), label) for word, label in pairs for frame in FRAMES]


def survival(network: Classifier, tokenizer: SubwordTokenizer, distance: int) -> tuple[float, float]:
    """Accuracy, and mean probability of the right label, when `distance` tokens of neutral text follow the decisive
    sentence. What the neutral text alone says is not taken off."""
    rows, labels = [], []
    for number, (text, label) in enumerate(decisive_texts()):
        sentences = islice(cycle(NEUTRAL), number % len(NEUTRAL), number % len(NEUTRAL) + math.ceil(distance / 4) + 1)
        filler = tokenizer.encode_target(" ".join(sentences))[:distance]
        rows.append(tokenizer.encode_target(text) + filler)
        labels.append(label)
    with torch.inference_mode():
        logits = positive_logit(network, rows)
    right: Tensor = torch.where(torch.tensor(labels) == 1, logits, -logits)
    return float((right > 0).float().mean()), float(right.sigmoid().mean())
