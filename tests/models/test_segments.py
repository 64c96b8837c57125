"""Segments cover every real step of every row once, and nothing else."""

import random

import pytest

from app.models.serving.segments import Segment, padded_steps, segments


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([3], [Segment(0, 3, 1)]),
        ([2, 2], [Segment(0, 2, 2)]),
        ([5, 3, 3, 1], [Segment(0, 1, 4), Segment(1, 3, 3), Segment(3, 5, 1)]),
        ([], []),
    ],
)
def test_segments_end_where_rows_do(lengths: list[int], expected: list[Segment]) -> None:
    assert segments(lengths) == expected


def test_segments_are_exactly_the_real_steps() -> None:
    source = random.Random(0)
    for _ in range(50):
        lengths = sorted((source.randint(1, 30) for _ in range(source.randint(1, 20))), reverse=True)
        run = [
            (row, step) for start, end, rows in segments(lengths) for row in range(rows) for step in range(start, end)
        ]
        assert sorted(run) == [(row, step) for row, length in enumerate(lengths) for step in range(length)]
        source.shuffle(lengths)
        assert padded_steps(lengths) == sum(lengths)
