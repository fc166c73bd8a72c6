import itertools

import pytest

from search.sampling.growth import last_step


@pytest.mark.parametrize(
    ("many", "step"), [(0, 0), (3, 3), (6, 6), (7, 7), (19, 18), (20, 20), (21, 20), (22, 22)]
)
def test_steps_grow_by_a_tenth(many: int, step: int) -> None:
    assert last_step(many, 6, 1.1) == step


def test_it_is_one_of_few_numbers() -> None:
    steps = sorted({last_step(many, 6, 1.1) for many in range(1000)})
    assert len(steps) < 70
    assert all(b <= max(a + 1, round(1.1 * a)) for a, b in itertools.pairwise(steps))
