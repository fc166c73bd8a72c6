"""What a network takes over of a trained one, and what it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import pytest
from test_insertion import TOLERANCE
from thin_networks import side_of, single, thin
from trained_networks import difference, train, trained

from models.architecture import Architecture, Placement, Slot
from models.attention import make_block
from models.attention.simam import SimpleAttention
from models.build import build
from models.errors import InputError
from models.insertion import attention_layers, fade_in, inherit


def test_simam_is_faded_in_until_it_is_the_papers_block() -> None:
    config = thin("resnet18")
    plain, state = trained(config)
    architecture = Architecture(
        config, (Placement(Slot(2, 2, "after_block"), make_block("simam", {})),)
    )
    network, paper = (build(architecture, side_of(config), seed=0) for _ in range(2))
    inherit(network, state)
    paper.set_state_dict(
        {**paper.state_dict(), **{k: paddle.to_tensor(v) for k, v in state.items()}}
    )
    assert difference(plain, network) <= TOLERANCE
    assert difference(paper, network) > 0.01
    fade_in(network, 0.5)
    assert difference(paper, network) > 0.01
    assert difference(plain, network) > 0.01
    fade_in(network, 1.0)
    assert difference(paper, network) == 0.0
    ((_, layer),) = attention_layers(network)
    assert isinstance(layer, SimpleAttention)


def test_an_inserted_block_is_the_same_layer_with_other_values() -> None:
    """What is inserted saves and loads as any network of its architecture does."""
    config = thin("resnet18")
    _, state = trained(config)
    architecture = Architecture(
        config, (Placement(Slot(2, 2, "after_block"), make_block("se", {"reduction": 4})),)
    )
    inserted, fresh = (build(architecture, side_of(config), seed=s) for s in (0, 1))
    inherit(inserted, state)
    assert list(inserted.state_dict()) == list(fresh.state_dict())
    inherit(fresh, inserted.state_dict())  # it holds the block as well, so nothing is an identity
    assert difference(inserted, fresh) == 0.0
    train(inserted, 3, seed=9)
    assert inherit(fresh, inserted.state_dict()) == ()
    assert difference(inserted, fresh) == 0.0


def test_a_second_block_goes_into_a_network_whose_first_one_has_learnt() -> None:
    config = thin("resnet18")
    _, state = trained(config)
    first = Placement(Slot(2, 1, "after_block"), make_block("se", {"reduction": 4}))
    second = Placement(Slot(2, 2, "after_block"), make_block("cbam", {"reduction": 4}))
    one = build(Architecture(config, (first,)), side_of(config), seed=0)
    inherit(one, state)
    train(one, 5, seed=3)
    two = build(Architecture(config, (first, second)), side_of(config), seed=0)
    assert inherit(two, one.state_dict()) == ("blocks.3.attention.after_block",)
    assert difference(one, two) <= TOLERANCE


def _drop(state: dict[str, Any]) -> None:
    del state["classifier.bias"]


def _add(state: dict[str, Any]) -> None:
    state["blocks.0.attention.before_add.mlp.squeeze.weight"] = np.zeros((16, 4), np.float32)


def _reshape(state: dict[str, Any]) -> None:
    state["stem.0.weight"] = np.zeros((16, 3, 7, 7), np.float32)


def _not_a_number(state: dict[str, Any]) -> None:
    state["classifier.bias"] = np.full(10, np.nan, np.float32)


def _half_a_block(state: dict[str, Any]) -> None:
    state["blocks.3.attention.after_block.mlp.squeeze.weight"] = np.zeros((32, 8), np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop, r"not in the weights: classifier\.bias$"),
        (_add, r"in the weights, but not in the network: blocks\.0\.attention"),
        (_reshape, r"of another shape in the weights: stem\.0\.weight \["),
        (_not_a_number, r"infinite or not a number: classifier\.bias$"),
        (_half_a_block, r"not in the weights: blocks\.3\.attention\.after_block\.gain"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(
    spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    config = thin("resnet18")
    _, state = trained(config)
    state = dict(state)
    spoil(state)
    architecture = Architecture(
        config, (Placement(Slot(2, 2, "after_block"), make_block("se", {"reduction": 4})),)
    )
    network = build(architecture, side_of(config), seed=0)
    before = {key: value.numpy() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match=message):
        inherit(network, state)
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in network.state_dict().items())


def test_random_numbers_drawn_afterwards_are_those_drawn_without() -> None:
    """Candidates share them."""
    config = thin("resnet18")
    _, state = trained(config)
    block = make_block("bat", {"s": 2, "k": 2, "dropout": 0.5})
    network = build(single(config, Slot(2, 2, "after_block"), block), side_of(config), seed=0)
    paddle.seed(3)
    expected = paddle.rand([4]).numpy()
    paddle.seed(3)
    inherit(network, state)
    assert np.array_equal(paddle.rand([4]).numpy(), expected)


def test_filters_of_other_frequencies_are_refused() -> None:
    """They are no parameters, and with them the network would be another one."""
    config, slot = thin("resnet18"), Slot(2, 2, "after_block")
    kinds = (("fca", "top4"), ("fca", "low4"), ("ortho", None))
    top, low, ortho = (
        build(single(config, slot, make_block(name, _of_filters(given))), side_of(config), seed=0)
        for name, given in kinds
    )
    for other in (low, ortho):
        with pytest.raises(InputError, match=r"constants of a block with other options: .*filters"):
            inherit(top, other.state_dict())
    assert inherit(top, top.state_dict()) == ()
    assert inherit(ortho, ortho.state_dict()) == ()


def _of_filters(frequencies: str | None) -> dict[str, object]:
    given: dict[str, object] = {"reduction": 4}
    return given if frequencies is None else given | {"frequencies": frequencies}
