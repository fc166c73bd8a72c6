"""Initial values, set explicitly: Paddle's defaults are not those the papers' code relied on."""

import math
from typing import Any

from paddle import ParamAttr
from paddle.nn import initializer


def he_normal(fan: int) -> Any:
    """N(0, √(2/fan)), He et al. 2015, for weights that a ReLU follows."""
    return ParamAttr(initializer=initializer.Normal(0.0, math.sqrt(2.0 / fan)))


def normal(deviation: float) -> Any:
    """N(0, deviation)."""
    return ParamAttr(initializer=initializer.Normal(0.0, deviation))


def uniform_fan(fan: int) -> Any:
    """U(±1/√fan), the default of linear layers and convolutions in the papers' framework."""
    bound = 1.0 / math.sqrt(fan)
    return ParamAttr(initializer=initializer.Uniform(-bound, bound))


def constant(value: float) -> Any:
    """The same value everywhere."""
    return ParamAttr(initializer=initializer.Constant(value))
