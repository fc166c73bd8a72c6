"""Every block hands on the gradient that its paper's formula has."""

import paddle
import pytest
from reference_answers import CHECKED
from reference_check import check, check_input_gradients

from models.attention import block_class
from models.block import SlotShape

Options = dict[str, object]

SMALL = SlotShape(4, 3, 2)
BRIDGED = SlotShape(4, 3, 2, bridged=(3, 2))
GRADIENTS: list[tuple[str, SlotShape, Options]] = [
    ("bat", SlotShape(4, 4, 4), {"s": 2, "k": 2, "r": 1}),
    ("bat", SlotShape(2, 2, 2), {"s": 2, "k": 2, "r": 1}),  # here P and Q depend on x
    ("bridge", BRIDGED, {"reduction": 2}),
    ("bridge", BRIDGED, {"reduction": 2, "activation": "silu"}),
    ("cbam", SMALL, {"reduction": 2}),
    ("cbam", SMALL, {"reduction": 2, "spatial": False}),
    ("coord", SMALL, {"reduction": 2}),
    ("eca", SMALL, {}),
    ("fca", SMALL, {"reduction": 2, "frequencies": "low4", "dct_size": 7}),
    ("gc", SMALL, {"ratio": 1.0, "fusion": "mul+add"}),
    ("gc", SMALL, {"ratio": 1.0, "fusion": "mul", "pooling": "average"}),
    ("nonlocal", SMALL, {"mode": "embedded_gaussian", "scale": True}),
    ("nonlocal", SMALL, {"mode": "gaussian", "bn": False}),
    ("nonlocal", SlotShape(3, 4, 5), {"mode": "dot_product", "subsample": True}),
    ("nonlocal", SMALL, {"mode": "concatenation"}),
    ("ortho", SMALL, {"reduction": 2}),
    ("se", SMALL, {"reduction": 2, "bias": True}),
    ("simam", SMALL, {"e_lambda": 0.1}),
    ("snl", SMALL, {}),
]


@pytest.mark.parametrize(
    ("name", "shape", "given"), GRADIENTS, ids=[f"{name}{given}" for name, _, given in GRADIENTS]
)
def test_gradients_of_the_inputs_are_the_references(
    name: str, shape: SlotShape, given: Options
) -> None:
    """Values do not show a gradient that is cut off on its way to the input."""
    check_input_gradients(name, shape, given)


def test_gradients_of_every_block_are_checked() -> None:
    assert {name for name, _, _ in GRADIENTS} == CHECKED


def test_a_gradient_that_is_cut_off_is_noticed() -> None:
    class Detached(block_class("se")):  # type: ignore[misc]
        def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:
            return x * (super().attend(x) / x).detach()

    shape, given = SMALL, {"reduction": 2}
    check("se", shape, given, kind=Detached)
    with pytest.raises(AssertionError, match="gradient is off by"):
        check_input_gradients("se", shape, given, kind=Detached)
