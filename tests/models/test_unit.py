"""A unit of decoding in one call against the same decoder step by step in plain torch."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.engine.sampling import draw
from app.engine.sampling_options import SampledRows
from app.engine.slots import BAD, LENGTH, RUNNING, STOP
from app.models.attention import Attention
from app.models.decoders import Decoder
from app.models.encoders import Encoded
from app.models.recurrent import Recurrent
from app.models.serving.native import Level, NativeLinear, NativeRecurrent, available, levels, multiplies_pairs
from app.models.serving.packed import PackedEmbedding
from app.models.serving.unit import DecoderUnit, Drawn, RunningRows
from app.models.state import State
from app.store.attention import Attention as AttentionConfig
from app.store.decoder import Decoder as DecoderConfig

pytestmark = pytest.mark.skipif(
    not available(), reason="native kernels not built (no C compiler), or a processor without AVX2"
)
LEVELS = levels()
every_level = pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)

MEMORY, SOURCE, ROWS, ROOM = 10, 9, 7, 12
LENGTHS = torch.tensor([4, SOURCE, 1, 6, 9, 2, 3])
END = 2


@dataclass(frozen=True)
class Case:
    name: str
    attention: str = "none"
    size: int | None = None
    activation: str = "tanh"
    more: dict[str, Any] = field(default_factory=dict)

    def config(self, vocabulary: int = 37, hidden: int = 10, embedding: int = 7) -> DecoderConfig:
        attends = self.attention != "none"
        return DecoderConfig.model_validate(
            {
                "vocabulary_size": vocabulary,
                "embedding_size": embedding,
                "cell": "lstm",
                "hidden_size": hidden,
                "attention": AttentionConfig.model_validate(
                    {"kind": self.attention, "size": self.size, "activation": self.activation}
                ),
                "readout": ("hidden", "context") if attends else ("hidden",),
                "bridge": "zeros",
                **self.more,
            }
        )


TIED: dict[str, Any] = {"readout_size": 7, "tied_output": True}
CASES = [
    Case("language model", more=TIED),
    Case("two layers", more={"layers": 2}),
    Case("fixed", "fixed", more={"context": "input"}),
    Case("dot", "dot"),
    Case("general", "general", more=TIED),
    Case("gru", "general", more={"cell": "gru", "layers": 2}),
    Case("rnn", "general", more={"cell": "rnn_tanh"}),
    Case("rectified", "general", more={"cell": "rnn_relu", "embedding_activation": "relu"}),
    Case("additive", "additive", 5, more={"context": "input", "layers": 2}),
    Case("additive after", "additive", 18, "relu"),
    Case("gated", "gated", 6, more={"context": "input", "readout": ("hidden", "context", "embedding"), **TIED}),
    Case("input layer", "additive", 5, more={"context": "input", "input_size": 21}),
    Case("input feeding", "general", more={"readout_size": 12, "input_feeding": True}),
    Case("summary first", "general", more={"first_input": "summary"}),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def decoder_of(config: DecoderConfig) -> Decoder:
    """Weights that float16 holds exactly, so large that tokens differ."""
    decoder = Decoder(config, memory_size=MEMORY, summary_size=summary_size(config)).eval().requires_grad_(False)
    for parameter in decoder.parameters():
        parameter.copy_((2 * parameter).half())
    decoder.output.bias[0] = float("-inf")  # a token that is suppressed
    return decoder


def summary_size(config: DecoderConfig) -> int:
    return config.embedding_size if config.first_input == "summary" else MEMORY


def natively(decoder: Decoder, level: Level, dtype: torch.dtype = torch.float16) -> Decoder:
    """The same decoder with the modules of the serving form."""
    for module in list(decoder.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and child.out_features > 1:
                setattr(module, name, NativeLinear(child.weight, child.bias, dtype=dtype, level=level))
            elif isinstance(child, nn.Embedding):
                setattr(module, name, PackedEmbedding(child))
            elif isinstance(child, Recurrent):
                setattr(module, name, NativeRecurrent(child, dtype=dtype, level=level))
            elif isinstance(child, Attention):
                child.natively = True
    return decoder


def started(decoder: Decoder) -> State:
    mask = torch.arange(SOURCE).unsqueeze(0) < LENGTHS.unsqueeze(1)
    memory = torch.randn(ROWS, SOURCE, MEMORY).masked_fill(~mask.unsqueeze(2), 100.0)
    state = decoder.start(Encoded(memory, mask, torch.randn(ROWS, summary_size(decoder.config)), None))
    state["hidden"] = torch.randn_like(state["hidden"])
    return state


def rows_of(state: State, limits: Tensor, drawn: Drawn | None = None) -> RunningRows:
    """Storage of rows that begin, with a copy of the state."""
    return RunningRows(
        {name: tensor.clone().contiguous() for name, tensor in state.items()},  # type: ignore[attr-defined]
        torch.ones(ROWS, dtype=torch.long),
        torch.zeros(ROWS, dtype=torch.long),
        torch.full((ROWS,), RUNNING),
        limits,
        torch.full((ROWS, ROOM), -1),
        torch.zeros(ROWS, ROOM),
        ROWS,
        state["memory"].shape[1] if "memory" in state else 0,
        drawn,
    )


def unit_of(decoder: Decoder) -> DecoderUnit:
    is_fixed = decoder.config.attention.kind == "fixed"
    return DecoderUnit(decoder, memory_size=summary_size(decoder.config) if is_fixed else MEMORY)


def limits_of_rows() -> Tensor:
    return torch.tensor([ROOM, 1, 5, ROOM, 9, 3, ROOM])


def row_of(state: State, row: int) -> State:
    return {name: tensor[row : row + 1].clone() for name, tensor in state.items()}  # type: ignore[return-value, index]


@torch.inference_mode()
def step_by_step(decoder: Decoder, state: State, limit: int) -> tuple[list[int], list[float], State]:
    """The tokens of one row, their log-probabilities and the state at its end."""
    tokens, log_probs = [1], list[float]()
    while len(log_probs) < limit and (not log_probs or tokens[-1] != END):
        logits, state, _ = decoder.step(torch.tensor(tokens[-1:]), state)
        best = logits.log_softmax(1).max(1)
        tokens.append(int(best.indices))
        log_probs.append(float(best.values))
    return tokens[1:], log_probs, state


@every_level
@every_case
@pytest.mark.parametrize("block", [1, 3, 64])
def test_like_steps_in_plain_torch(case: Case, level: Level, block: int) -> None:
    decoder = decoder_of(case.config())
    state, limits = started(decoder), limits_of_rows()
    expected = [step_by_step(decoder, row_of(state, row), int(limits[row])) for row in range(ROWS)]
    rows = rows_of(state, limits)
    unit = unit_of(natively(decoder, level))
    made = [unit.run(rows, steps=steps, block=block, end=END) for steps in (1, 4, 6, 6)]
    for row, (tokens, log_probs, after) in enumerate(expected):
        count = int(rows.steps[row])
        assert rows.history[row, :count].tolist() == tokens
        assert (rows.history[row, count:] == -1).all()  # nothing is written past the end
        assert rows.log_probs[row, :count].tolist() == pytest.approx(log_probs, abs=1e-4)
        assert int(rows.previous[row]) == tokens[-1]
        assert int(rows.ended[row]) == (STOP if tokens[-1] == END else LENGTH)
        for name in {"hidden", "cell", "fed", "is_first"} & after.keys():
            of_row: Any = rows.state[name][row : row + 1]
            torch.testing.assert_close(of_row.float(), after[name].float(), rtol=0, atol=1e-4)  # type: ignore[literal-required]
    assert sum(of_all for _, of_all in made) == int(rows.steps.sum())
    assert sum(steps for steps, _ in made) == max(len(tokens) for tokens, _, _ in expected)


@every_level
@pytest.mark.parametrize(("vocabulary", "hidden"), [(3, 1), (64, 16), (65, 33), (1000, 70)])
def test_any_size(level: Level, vocabulary: int, hidden: int) -> None:
    decoder = decoder_of(CASES[4].config(vocabulary, hidden))
    state = started(decoder)
    expected = [step_by_step(decoder, row_of(state, row), ROOM) for row in range(ROWS)]
    rows = rows_of(state, torch.full((ROWS,), ROOM))
    unit_of(natively(decoder, level)).run(rows, steps=ROOM, block=64, end=END)
    for row, (tokens, log_probs, _) in enumerate(expected):
        assert rows.history[row, : len(tokens)].tolist() == tokens
        assert rows.log_probs[row, : len(tokens)].tolist() == pytest.approx(log_probs, abs=1e-4)


def some_drawn(*rows: int) -> Drawn:
    count = len(rows)
    return Drawn(
        torch.tensor(rows, dtype=torch.long),
        torch.arange(count) + 5,
        torch.tensor([0, 3, 0, 20, 1])[:count],
        torch.tensor([1.0, 0.7, 2.0, 1.0, 5.0])[:count],
        torch.tensor([1.0, 1.0, 0.8, 0.9, 1.0])[:count],
        torch.tensor([0.0, 0.0, 0.0, 0.1, 0.0])[:count],
    )


@every_level
@every_case
def test_rows_are_the_same_alone_and_beside_others(case: Case, level: Level) -> None:
    """Bit for bit, greedy and drawn, whatever the neighbours, the block, and the steps of a unit."""
    decoder = natively(decoder_of(case.config()), level)
    unit, state = unit_of(decoder), started(decoder)
    together = rows_of(state, limits_of_rows(), some_drawn(1, 2, 4, 6))
    unit.run(together, steps=ROOM, block=64, end=END)
    apart = rows_of(state, limits_of_rows(), some_drawn(1, 2, 4, 6))
    for _ in range(ROOM):
        unit.run(apart, steps=1, block=2, end=END)
    assert torch.equal(together.history, apart.history)
    assert torch.equal(together.log_probs, apart.log_probs)
    assert all(torch.equal(tensor, apart.state[name]) for name, tensor in together.state.items())


@every_level
def test_a_drawn_token_is_that_of_the_sampler(level: Level) -> None:
    decoder = natively(decoder_of(CASES[4].config(vocabulary=300)), level)
    state, drawn = started(decoder), some_drawn(0, 1, 3, 5, 6)
    rows = rows_of(state, torch.full((ROWS,), ROOM), drawn)
    unit_of(decoder).run(rows, steps=ROOM, block=64, end=-1)
    how = SampledRows(
        drawn.rows, drawn.temperature, drawn.top_k, drawn.top_p, drawn.min_p, drawn.seed, is_cut=True, widest=0
    )
    previous = torch.ones(ROWS, dtype=torch.long)
    with torch.inference_mode():
        for step in range(ROOM):
            logits, state, _ = decoder.step(previous, state)
            tokens = draw(logits, torch.full((ROWS,), step), how)
            assert rows.history[drawn.rows, step].tolist() == tokens.tolist()
            chosen = logits.log_softmax(1)[drawn.rows, tokens].clamp(min=-100.0)
            torch.testing.assert_close(rows.log_probs[drawn.rows, step], chosen, rtol=0, atol=1e-4)
            previous = rows.history[:, step].clone()


@every_level
def test_a_row_of_nan_ends_alone(level: Level) -> None:
    decoder = natively(decoder_of(CASES[4].config()), level)
    state = started(decoder)
    state["hidden"][3] = float("nan")
    rows = rows_of(state, limits_of_rows())
    unit_of(decoder).run(rows, steps=ROOM, block=64, end=END)
    assert int(rows.ended[3]) == BAD
    assert int(rows.steps[3]) == 1
    others = [row for row in range(ROWS) if row != 3]
    assert not (rows.ended[others] == BAD).any()
    assert rows.log_probs[others].isfinite().all()


def test_rows_that_do_not_fit_are_refused_and_stay() -> None:
    level = LEVELS[-1]
    decoder = natively(decoder_of(CASES[4].config()), level)
    unit, state = unit_of(decoder), started(decoder)
    for change, value in (("previous", 37), ("previous", -1), ("limits", ROOM + 1), ("steps", ROOM)):
        rows = rows_of(state, limits_of_rows())
        getattr(rows, change)[2] = value
        with pytest.raises(ValueError, match="outside of the vocabulary"):
            unit.run(rows, steps=2, block=64, end=END)
        assert (rows.history == -1).all()
    rows = rows_of(state, limits_of_rows())
    with pytest.raises(ValueError, match="does not fit"):
        unit.run(rows._replace(positions=SOURCE + 1), steps=2, block=64, end=END)
    with pytest.raises(ValueError, match="does not fit"):
        unit.run(rows._replace(running=ROWS + 1), steps=2, block=64, end=END)
    assert unit.run(rows._replace(running=0), steps=2, block=64, end=END) == (0, 0)


@pytest.mark.skipif(not multiplies_pairs(), reason="this processor has no bfloat16 products")
@every_case
def test_bfloat16_is_near(case: Case) -> None:
    decoder = decoder_of(case.config())
    state = started(decoder)
    with torch.inference_mode():
        logits, _, _ = decoder.step(torch.ones(ROWS, dtype=torch.long), state)
    rows = rows_of(state, torch.ones(ROWS, dtype=torch.long))
    unit_of(natively(decoder, Level.AVX512_VNNI, torch.bfloat16)).run(rows, steps=1, block=64, end=END)
    chosen = logits.log_softmax(1).gather(1, rows.history[:, :1]).squeeze(1)
    torch.testing.assert_close(rows.log_probs[:, 0], chosen, rtol=0, atol=0.2)
