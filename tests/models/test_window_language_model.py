"""A language model that reads the last ids anew: each step against the network over that window alone."""

from typing import Any

import pytest
import torch

from app.models.window_language_model import WindowLanguageModel
from app.store.window_language_model import WindowLanguageModel as Config

VOCABULARY, WINDOW = 15, 6


def model(**changes: Any) -> WindowLanguageModel:
    recurrence = {"cell": "lstm", "input_size": 4, "hidden_size": 5, "layers": 2}
    encoder = {"kind": "text", "vocabulary_size": VOCABULARY, "recurrence": recurrence, **changes.pop("encoder", {})}
    config = {"encoder": encoder, "window": WINDOW, "head": [{"size": 7}], **changes}
    return WindowLanguageModel(Config.model_validate(config)).eval()


MODELS: dict[str, dict[str, Any]] = {
    "padded": {"pad": 0},
    "padded, flat": {"pad": 3, "pooling": ["flatten", "last"]},
    "padded on the right": {"pad": 3, "pad_side": "right", "pooling": ["last", "flatten"]},
    "padded and masked": {"pad": 0, "encoder": {"mask_id": 0}},
    "padded, with a convolution": {
        "pad": 0,
        "encoder": {"embedding_size": 3, "front": [{"kind": "convolution", "width": 4, "kernel": 3}]},
    },
    "any length": {},
    "any length, attention": {
        "pooling": ["attention", "last_output"],
        "attention": {"kind": "dot"},
    },
}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_step_reads_the_window_anew(name: str) -> None:
    network = model(**MODELS[name])
    pad = network.config.pad
    texts = [[4, 5, 6], [9], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [7, 8, 9, 10, 11, 12]]
    longest = max(map(len, texts))
    source = torch.tensor([text + [14] * (longest - len(text)) for text in texts])
    state = network.encode(source, torch.tensor([len(text) for text in texts]))
    for step in range(2 * WINDOW):
        tokens = torch.tensor([(step + 3 * row) % VOCABULARY for row in range(len(texts))])
        logits, state, weights = network.step(tokens, state)
        assert weights is None
        for row, text in enumerate(texts):
            text.append(int(tokens[row]))
            window = text[-WINDOW:]
            if pad is not None:
                padding = [pad] * (WINDOW - len(window))
                window = padding + window if network.config.pad_side == "left" else window + padding
            alone = network(torch.tensor([window]), torch.tensor([len(window)]))[0]
            torch.testing.assert_close(logits[row], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["padded", "padded on the right"])
@torch.no_grad()
def test_padding_before_a_text_is_none_of_its_ids(name: str) -> None:
    """A text begins with the padding, so that an empty one has a first id. The network reads as much without it."""
    network = model(**MODELS[name])
    pad = network.config.pad
    assert pad is not None
    for text in ([], [4], [4, pad, 5], [1, 2, 4, 5, 6, 7, pad, 8]):
        *prefix, first = [pad, *text]
        state = network.encode(torch.tensor([prefix or [14]]), torch.tensor([len(prefix)]))
        for read, token in enumerate((first, 9, pad, 8)):
            logits, state, _ = network.step(torch.tensor([token]), state)
            if read:
                text.append(token)
            window = text[-WINDOW:]
            padding = [pad] * (WINDOW - len(window))
            window = padding + window if network.config.pad_side == "left" else window + padding
            alone = network(torch.tensor([window]), torch.tensor([WINDOW]))[0]
            torch.testing.assert_close(logits[0], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": ["flatten"]}, "need 'pad'"),
        ({"pad": VOCABULARY}, "the ids are 0 to 14"),
        ({"encoder": {"embedding_size": 3, "front": [{"kind": "convolution", "width": 4, "kernel": 3}]}}, "need 'pad'"),
        (
            {
                "pad": 0,
                "encoder": {"embedding_size": 3, "front": [{"kind": "convolution", "width": 4, "kernel": 7}]},
            },
            "window of 6 steps is too short",
        ),
        ({"window": 0}, "greater than 0"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**changes)
