"""What every attention block is: the seam between the catalogue and the backbones."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import paddle
from paddle import nn

from models.architecture import OptionValue
from models.cost import Cost
from models.options import Option


@dataclass(frozen=True)
class SlotShape:
    """The feature map a slot offers: `[N, channels, height, width]`.

    `bridged` holds the channels of the earlier feature maps of the same block of the backbone,
    oldest first; it is empty where there are none (before the second convolution, and after the
    block has ended). `rectified`: the map comes out of a ReLU, so nothing in it is negative.
    """

    channels: int
    height: int
    width: int
    bridged: tuple[int, ...] = ()
    rectified: bool = False

    @property
    def positions(self) -> int:
        """N = H·W, the number of places in the map."""
        return self.height * self.width


class AttentionBlock(nn.Layer):
    """A layer that maps `[N, C, H, W]` to `[N, C, H, W]`, for any batch N ≥ 1.

    One block is one file of `models/attention/`, and the file's name is the block's name in YAML.
    A block states, for people and for `docs/blocks.md`: its `title`; its `paper`; its `options`;
    `params_formula` and `macs_formula` in the letters of its docstring; `legal_sizes`; in
    `insertion`, how `make_identity` makes it change nothing; and in `deviations`, where it is not
    the paper's block.

    `wants_bridged`: the block also reads the earlier feature maps of its residual block; only then
    does `attend` receive them. `control`: the block is there to be compared with, not attention.
    `constants`: the buffers that the options and the size decide; weights with other values there
    are those of another function.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()
    params_formula: ClassVar[str]
    macs_formula: ClassVar[str]
    legal_sizes: ClassVar[str] = "any"
    constants: ClassVar[tuple[str, ...]] = ()
    insertion: ClassVar[str]
    deviations: ClassVar[str] = "nothing"
    wants_bridged: ClassVar[bool] = False
    control: ClassVar[bool] = False

    @classmethod
    def refuse(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """Why the block cannot sit where `shape` is offered; None where it can.

        `options` are complete, as `models.options.complete` returns them.
        """
        if cls.wants_bridged and not shape.bridged:
            return "needs earlier feature maps of the same block, and there are none"
        return cls.refuse_size(shape, options)

    @classmethod
    def refuse_size(
        cls,
        shape: SlotShape,  # noqa: ARG003 - for blocks that have a limit
        options: Mapping[str, OptionValue],  # noqa: ARG003
    ) -> str | None:
        """Why channels, height or width of `shape` are illegal with `options`; None if legal."""
        return None

    @classmethod
    @abstractmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Parameters and MACs by formula, before anything is built."""

    @abstractmethod
    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:
        """The block's function on `x` `[N, C, H, W]`; `bridged` as `SlotShape.bridged` lists it."""

    @abstractmethod
    def make_identity(self) -> None:
        """Sets the block so that it changes nothing and can learn from there.

        For a block that is put into a trained network (`models/insertion.py`): the network's
        outputs in evaluation mode stay what they were, and within two steps of training every
        parameter that acts on the output gets a gradient.
        """

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:
        """Sees to it that a block that was made an identity learns on inputs like these.

        Hidden units that a ReLU would silence for every image never learn. Blocks that have such
        units turn them around here; the output, that of an identity, does not change.
        """

    def fade_in(self, share: float) -> None:
        """Sets how much of the block acts, from 0 to 1, where it has nothing that could learn to.

        Blocks that have parameters are made identities by these, and do nothing here.
        """

    @final
    def forward(self, x: paddle.Tensor, bridged: tuple[paddle.Tensor, ...] = ()) -> paddle.Tensor:
        """What a backbone calls at a slot: hands `bridged` on only to blocks that want it."""
        return self.attend(x, *bridged) if self.wants_bridged else self.attend(x)


def refuse_reduction(channels: int, reduction: int) -> str | None:
    """Why `channels // reduction` hidden units are too few for a gate; None if they are not."""
    if channels < reduction:
        return f"{channels} channels // reduction {reduction} leaves no hidden unit"
    return None
