"""What a training may go on from: all that it keeps itself, and nothing of another shape."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import paddle
import pytest
from trainings import BACKBONE, SIDE, training, validation

from models.architecture import Architecture, Backbone, Block, Placement
from models.attention import block_class, block_names, make_block
from models.backbones import backbone_names
from models.build import build, plan, refuse
from trainers.average import WeightAverage
from trainers.checkpoint import Checkpoint
from trainers.config import TrainingConfig
from trainers.quiet import Quiet
from trainers.train import make_optimizer, train
from trainers.training_state import TrainingState, refuse_misfit

State = dict[str, np.ndarray[Any, Any]]
SIDES = {"alexnet": 64}
THIN = Backbone(width=0.25)
CONFIG = TrainingConfig(optimizer="adam", average=0.9)


def after_a_step(architecture: Architecture, config: TrainingConfig) -> tuple[State, Any]:
    """The state of a training, and a network of the same architecture that was not trained."""
    side = SIDES.get(architecture.backbone.name, 16)
    network = build(architecture, side, 0)
    optimizer = make_optimizer(network, config)
    average = WeightAverage(network, config.average) if config.average else None
    network(paddle.rand([4, 3, side, side])).square().mean().backward()
    optimizer.step()
    return TrainingState(network, optimizer, average).arrays(), build(architecture, side, 1)


def blocks() -> Iterator[Block]:
    """Each with every choice of every option."""
    for name in block_names():
        yield make_block(name, {})
        for option in block_class(name).options:
            choices = (True, False) if isinstance(option.default, bool) else option.choices
            for choice in choices:
                yield make_block(name, {option.name: choice})


@pytest.mark.parametrize("block", dict.fromkeys(blocks()), ids=str)
def test_every_parameter_of_a_block_has_a_state_of_the_optimizer(block: Block) -> None:
    """Whatever a training keeps lets it go on."""
    shapes = plan(Architecture(THIN), 16).slots
    slot = next(slot for slot, shape in shapes.items() if refuse(block, shape) is None)
    arrays, network = after_a_step(Architecture(THIN, (Placement(slot, block),)), TrainingConfig())
    refuse_misfit(arrays, network, TrainingConfig())


@pytest.mark.parametrize("name", backbone_names())
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_what_a_backbone_keeps_lets_it_go_on(name: str, optimizer: str, average: float) -> None:
    config = TrainingConfig.model_validate({"optimizer": optimizer, "average": average})
    arrays, network = after_a_step(
        Architecture(Backbone.model_validate({"name": name, "width": 0.25})), config
    )
    refuse_misfit(arrays, network, config)


@pytest.fixture(scope="module")
def kept() -> tuple[State, Any]:
    return after_a_step(Architecture(BACKBONE), CONFIG)


WEIGHT = "network/stem.0.weight"
MOMENT = "optimizer/moment1_0/stem.0.weight"
MISFITS: dict[str, Callable[[State], State]] = {
    "none": lambda _: {},
    "one is missing": lambda s: without(s, WEIGHT),
    "the optimizer's are missing": lambda s: {k: s[k] for k in s if not k.startswith("opt")},
    "one of the optimizer's is missing": lambda s: without(s, MOMENT),
    "the mean's are missing": lambda s: {k: s[k] for k in s if not k.startswith("average/")},
    "the mean's steps are missing": lambda s: without(s, "average/steps"),
    "one more": lambda s: s | {"network/more": s[WEIGHT]},
    "one more of the optimizer": lambda s: s | {"optimizer/velocity_0/stem.0.weight": s[MOMENT]},
    "no slash": lambda s: s | {"optimizer/moment1_0": s[MOMENT]},
    "slashes": lambda s: s | {MOMENT + "/x": s[MOMENT]},
    "of no layer": lambda s: s | {"optimizer/moment1_0/x": s[MOMENT]},
    "of nothing known": lambda s: s | {"x": s[MOMENT]},
    "another shape": lambda s: s | {WEIGHT: s[WEIGHT][:1]},
    "another order": lambda s: s | {WEIGHT: s[WEIGHT].reshape(-1)},
    "the optimizer's of another shape": lambda s: s | {MOMENT: s[MOMENT].ravel()[:1]},
    "the mean's of another shape": lambda s: s | {"average/stem.0.weight": s[WEIGHT][:1]},
    "float64": lambda s: s | {WEIGHT: s[WEIGHT].astype(np.float64)},
    "float16": lambda s: s | {MOMENT: s[MOMENT].astype(np.float16)},
    "whole numbers": lambda s: s | {WEIGHT: s[WEIGHT].astype(np.int32)},
    "truth values": lambda s: s | {WEIGHT: s[WEIGHT] > 0},
    "not a number": lambda s: s | {WEIGHT: s[WEIGHT] * np.float32("nan")},
    "the optimizer's not a number": lambda s: s | {MOMENT: s[MOMENT] * np.float32("nan")},
    "steps as a fraction": lambda s: s | {"average/steps": np.array([1.5], np.float32)},
    "steps below 0": lambda s: s | {"average/steps": np.array([-11])},
    "two numbers of steps": lambda s: s | {"average/steps": np.array([1, 2])},
}


def without(state: State, name: str) -> State:
    return {key: array for key, array in state.items() if key != name}


@pytest.mark.parametrize("kind", MISFITS)
def test_what_does_not_fit_changes_nothing(
    kept: tuple[State, Any], quiet: Quiet, kind: str
) -> None:
    """Paddle would take some of these, and others break within; a part of them is not taken."""
    arrays, network = kept
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    begun = Checkpoint(MISFITS[kind](arrays), ())
    with pytest.raises(ValueError, match=r"another network or optimizer|instead of|number|than 0"):
        list(train(
            network, training(0), validation(), CONFIG, image_size=SIDE, quiet=quiet, begun=begun,
        ))  # fmt: skip
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_another_recipe_has_another_state(kept: tuple[State, Any]) -> None:
    arrays, network = kept
    for config in (TrainingConfig(average=0.9), TrainingConfig(optimizer="adam")):
        with pytest.raises(ValueError, match="another network or optimizer"):
            refuse_misfit(arrays, network, config)


def test_what_fits_is_taken(kept: tuple[State, Any]) -> None:
    """So the tests above are of what was changed."""
    arrays, network = kept
    refuse_misfit(arrays, network, CONFIG)
