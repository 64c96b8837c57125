"""Self-critical training: its samples, its gradient and its reward of captions."""

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from pycocoevalcap.cider.cider import Cider
from torch import Tensor

from app.models.networks import EncoderDecoder
from app.store.decoder import Decoder
from app.store.encoder_decoder import EncoderDecoder as Architecture
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence
from training.captions import CiderReward, plain_caption
from training.loop import BOS, EOS, PAD, UNK
from training.self_critical import sampled, self_critical_loss

VOCABULARY = 70  # more than one block of `_drawn`
FORBIDDEN = (PAD, BOS, UNK, *range(7, VOCABULARY - 1))
ALLOWED = (EOS, 4, 5, 6, VOCABULARY - 1)
LONGEST = 2


@pytest.fixture
def network() -> EncoderDecoder:
    torch.manual_seed(3)
    recurrence = Recurrence(cell="lstm", input_size=8, hidden_size=8)
    decoder = Decoder(vocabulary_size=VOCABULARY, embedding_size=8, cell="lstm", hidden_size=8, bridge="copy")
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)
    network = EncoderDecoder(Architecture(encoder=encoder, decoder=decoder))
    with torch.no_grad():
        for weight in network.parameters():  # large ones, so that the source matters
            weight.mul_(4)
    return network


def reward_of(place: int, answer: Sequence[int]) -> float:
    return float(sum(token % 5 if place == 0 else 3 * (token == 6) for token in answer)) / len(answer)


def gradient(network: EncoderDecoder, loss: Tensor) -> Tensor:
    network.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None])


def every_answer() -> list[list[int]]:
    words = [token for token in ALLOWED if token != EOS]
    return [[EOS], *([word, last] for word, last in product(words, ALLOWED))]


def probability(network: EncoderDecoder, source: Tensor, answer: list[int]) -> Tensor:
    logits = network(source, torch.tensor([source.shape[1]]), torch.tensor([[BOS, *answer[:-1]]]))[0]
    logits = logits.index_fill(1, torch.tensor(FORBIDDEN), -torch.inf)
    chosen: Tensor = logits.log_softmax(1)[torch.arange(len(answer)), torch.tensor(answer)]
    return chosen.sum().exp()


def test_the_gradient_is_that_of_the_expected_reward(network: EncoderDecoder) -> None:
    """Of two sources, whose rewards differ."""
    sources = torch.tensor([[4, 4, 4, 4], [69, 69, 69, 69]])
    chances = [
        {tuple(answer): probability(network, source[None], answer) for answer in every_answer()} for source in sources
    ]
    assert [sum(chance.item() for chance in of_one.values()) for of_one in chances] == pytest.approx([1, 1], abs=1e-5)
    expected = torch.zeros(())
    for place, of_one in enumerate(chances):
        for answer, chance in of_one.items():
            expected = expected + chance * reward_of(place, answer)
    exact = gradient(network, -expected)

    seen: list[list[list[int]]] = [[], []]

    def reward(place: int, answers: list[list[int]]) -> list[float]:
        seen[place] += answers
        return [reward_of(place, answer) for answer in answers]

    torch.manual_seed(0)
    loss = self_critical_loss(
        network.decoder,
        network.encode(sources, torch.tensor([4, 4])),
        reward,
        samples=20_000,
        forbidden=FORBIDDEN,
        longest=LONGEST,
    )
    estimate = gradient(network, loss)
    assert torch.nn.functional.cosine_similarity(estimate, exact, dim=0) > 0.99
    mean_length = sum(len(answer) for answers in seen for answer in answers) / len(seen[0])
    assert (estimate * mean_length).norm() == pytest.approx(exact.norm().item(), rel=0.1)
    for answers, of_one in zip(seen, chances, strict=True):
        for answer, chance in of_one.items():
            assert answers.count(list(answer)) / len(answers) == pytest.approx(chance.item(), abs=0.015)


def test_rows_that_have_ended_leave_the_batch(network: EncoderDecoder) -> None:
    """Each answer has the probability of its own source, however many others have ended before."""
    sources = torch.tensor([[4, 5, EOS], [6, 6, EOS]]).repeat(50, 1)
    state = network.encode(sources, torch.full((100,), 3))
    answers, log_probs = sampled(network.decoder, state, forbidden=FORBIDDEN, longest=6)
    assert 1 <= min(map(len, answers)) < max(map(len, answers)) <= 6
    for source, answer, log_prob in zip(sources, answers, log_probs, strict=True):
        assert probability(network, source[None], answer).log().item() == pytest.approx(log_prob.item(), abs=1e-4)


def test_cider_of_one_caption_is_that_of_all_together() -> None:
    photos = [
        ["A dog runs on grass.", "The brown dog is running."],
        ["Two men play football.", "Men in red play football on grass."],
        ["A girl climbs a rock.", "A child climbs."],
    ]
    captions = ["a brown dog runs", "two men in red on grass", "a dog"]
    reward = CiderReward(photos)
    references = {photo: [f"{plain_caption(text)} ." for text in texts] for photo, texts in enumerate(photos)}
    _, each = Cider().compute_score(references, {photo: [f"{text} ."] for photo, text in enumerate(captions)})
    assert [reward(photo, text, ended=True) for photo, text in enumerate(captions)] == pytest.approx(list(each))
    assert reward(0, "a dog runs on grass", ended=False) < reward(0, "a dog runs on grass", ended=True)
