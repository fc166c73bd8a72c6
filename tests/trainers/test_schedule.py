"""Learning rates against values worked out by hand."""

import math
from typing import Any

import pytest

from trainers.config import TrainingConfig
from trainers.schedule import learning_rate


def rates(steps: int, **given: Any) -> list[float]:
    config = TrainingConfig.model_validate({"learning_rate": 2.0} | given)
    return [learning_rate(config, step, steps) for step in range(steps)]


def test_triangular() -> None:
    # The peak is the third of ten steps; then a fall of 1/8 of it a step, to 0 at the eleventh.
    expected = [0.02, 1.0, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25]
    assert rates(10, warmup_fraction=0.2) == pytest.approx(expected)


def test_cosine() -> None:
    half_way = 1 + math.cos(math.pi / 4)
    expected = [0.02, 1.0, 2.0, half_way, 1.0, 2 - half_way]
    assert rates(6, schedule="cosine", warmup_fraction=1 / 3) == pytest.approx(expected)


def test_without_warm_up_the_first_step_is_the_peak() -> None:
    assert rates(4, warmup_fraction=0.0) == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert rates(4, schedule="cosine", warmup_fraction=0.0)[0] == 2.0


def test_step() -> None:
    expected = [2.0, 2.0, 2.0, 0.2, 0.2, 0.2, 0.02, 0.02, 0.02, 0.002]
    assert rates(10, schedule="step") == pytest.approx(expected)
    assert rates(4, schedule="step", milestones=[0.5]) == pytest.approx([2.0, 2.0, 0.2, 0.2])


def test_constant() -> None:
    assert rates(5, schedule="constant") == [2.0] * 5


@pytest.mark.parametrize("schedule", ["triangular", "cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.25, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_always_positive_and_never_above_the_configured(
    schedule: str, warmup: float, steps: int
) -> None:
    values = rates(steps, schedule=schedule, warmup_fraction=warmup)
    assert all(0 < value <= 2.0 for value in values)
