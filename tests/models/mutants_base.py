"""What a known wrong version of a block is, and how it is put in the right one's place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import paddle
import pytest

from models.attention import block_class
from models.block import SlotShape

PLAIN = SlotShape(8, 5, 6)
"""Height and width differ, and both differ from every number of channels."""

SMALL = SlotShape(4, 3, 2)
"""For gradients, which are checked value by value."""

FOLDER = "tests/models"

GRADIENT = r"gradient is off by \d|gets no gradient"
"""The complaint of a comparison of input gradients."""

_USERS = (
    "golden_compare",
    "golden_layers",
    "models.backbones.alexnet",
    "models.build",
    "models.residual_network",
    "reference_check",
)
"""The modules, besides the block's own and that of a test, that make layers."""


@dataclass(frozen=True)
class Named:
    """A test elsewhere that fails on the wrong version, and what it is called with to do so.

    `given` are values that pytest calls it with too, or an example that hypothesis may draw.
    `complaint`: what it must say, a regular expression.
    """

    file: str
    test: str
    given: Mapping[str, object]
    complaint: str | None = None

    @property
    def node(self) -> str:
        """The test as pytest names it."""
        return f"{FOLDER}/{self.file}.py::{self.test}"

    @property
    def function(self) -> Callable[..., None]:
        return getattr(import_module(self.file), self.test)

    @property
    def drawn(self) -> bool:
        """Whether hypothesis draws what pytest calls it with."""
        return hasattr(self.function, "hypothesis")

    def __call__(self) -> None:
        """Calls the test; one of hypothesis with the given example only."""
        test = self.function
        if self.drawn:
            test = test.hypothesis.inner_test
        test(**self.given)

    def __str__(self) -> str:
        return self.node


@dataclass(frozen=True)
class Mutation:
    """A wrong version of a block that keeps every shape, and who notices.

    `wrong` is a class in the place of the block's class or, where `replaces` names a function or a
    class of the modules that make the block, in the place of that. The first line of its docstring
    says what is wrong. `reference`: the arguments of `reference_check.check` that show it, None
    where they cannot; `golden`: golden cases that do; `others`: tests that do.
    """

    block: str
    wrong: Callable[..., Any]
    reference: Mapping[str, Any] | None = None
    golden: tuple[str, ...] = ()
    others: tuple[Named, ...] = ()
    replaces: str = ""

    @property
    def name(self) -> str:
        return f"{self.block}-{self.wrong.__name__}"

    @property
    def wording(self) -> str:
        """What is wrong."""
        return (self.wrong.__doc__ or "").strip().partition("\n")[0]

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch, user: str | None = None) -> None:
        """The wrong version for the right one, in every module that makes layers and in `user`."""
        target, stand_in = self.replaces or "block_class", self.wrong
        if not self.replaces:

            def stand_in(name: str) -> Any:
                return self.wrong if name == self.block else block_class(name)

        home = f"models.attention.{self.block}"
        modules = [import_module(name) for name in (home, *_USERS, user) if name is not None]
        right = next(vars(module)[target] for module in modules if target in vars(module))
        for module in modules:
            if vars(module).get(target) is right:  # another thing may bear the name
                monkeypatch.setattr(module, target, stand_in)


def on(shape: SlotShape, given: Mapping[str, object] | None = None, **more: Any) -> dict[str, Any]:
    """Arguments of `reference_check.check`."""
    return {"shape": shape, "given": dict(given or {}), **more}


def cut_off(x: paddle.Tensor, out: paddle.Tensor) -> paddle.Tensor:
    """`out`, a product of x and gates, with gates that no gradient passes through."""
    return x * (out / x).detach()


def gradients(name: str, shape: SlotShape, given: Mapping[str, object]) -> Named:
    """The comparison of input gradients with the reference's."""
    test = "test_gradients_of_the_inputs_are_the_references"
    called = {"name": name, "shape": shape, "given": given}
    return Named("test_input_gradients", test, called, GRADIENT)


def drawn(name: str, options: Mapping[str, object], factor: float) -> Named:
    """The test that a block as it is drawn is `factor` times its input."""
    test = "test_what_the_papers_blocks_are_when_they_are_drawn"
    return Named("test_insertion", test, {"name": name, "options": options, "factor": factor})


def stated_at_first(name: str) -> Named:
    """The test of the initial values that a block's source states."""
    return Named("test_mutations", "test_initial_values_that_are_stated", {"name": name})


def inner(name: str, options: Mapping[str, object], channels: int) -> Named:
    """The test of the number of inner channels of 45."""
    given = {"name": name, "options": options, "inner": channels}
    return Named("test_reference", "test_inner_channels", given)


def cost(name: str, given: Mapping[str, object] | None = None) -> Named:
    """The test that the cost by formula is the counted one."""
    counted = {"name": name, "given": dict(given or {})}
    return Named("test_cost", "test_a_blocks_cost_is_the_counted_one", counted)
