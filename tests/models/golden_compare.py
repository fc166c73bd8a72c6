"""Sets a golden case's weights, runs our layer and compares everything the case recorded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from golden_aux import our_aux
from golden_cases import DX_TOLERANCE, GRADIENT_TOLERANCE, Y_TOLERANCE, Golden, load_arrays
from golden_names import LEAVES
from paddle import nn

from models.attention.ortho import orthonormal_filters

COMPUTED_TOLERANCE = 1e-6
"""Of fixed filters of norm 1 that both sides compute: float32 rounding."""

FLOAT64_TOLERANCE = 1e-12
"""Of orthonormal filters, float64 on both sides: rounding of 64 dependent steps."""

ONES = ("gain", "faded_in")
"""Buffers of ours without a counterpart: 1 makes the block the paper's."""

Errors = dict[str, float | None]
"""The worst absolute error of `y` and of `dx`; None where the case has no such thing."""


def compare(golden: Golden) -> Errors:
    """AssertionError where a value differs or a tensor is mismatched or left over."""
    set_weights(golden)
    golden.layer.train() if golden.mode == "train" else golden.layer.eval()
    before = {key: value.numpy() for key, value in golden.layer.state_dict().items()}
    sources = sorted(key for key in golden.arrays if key[0] == "x")  # x, x1, x2
    inputs = [paddle.to_tensor(golden.arrays[key], stop_gradient=False) for key in sources]
    seen = _watch_norms(golden.layer)
    y = golden.call(*inputs).reshape(golden.arrays["y"].shape)
    (y * paddle.to_tensor(golden.arrays["r"])).sum().backward()
    error = _close(y.numpy(), golden.arrays["y"], Y_TOLERANCE, "y")
    gradients = {f"d{key}": x.grad.numpy() for key, x in zip(sources, inputs, strict=True)}
    dx = [_close(g, golden.arrays[key], DX_TOLERANCE, key) for key, g in gradients.items()]
    compared = {*sources, *gradients, "y", "r"} | {k for k in golden.arrays if k[:2] == "w/"}
    compared |= _compare_gradients(golden) | _compare_statistics(golden, before, seen)
    compared |= _compare_aux(golden)
    rest = sorted(set(golden.arrays) - compared)
    assert not rest, f"{golden.name}: recorded but not compared: {rest}"
    return {"y": error, "dx": max(dx)}


def compare_filters(case: Mapping[str, Any]) -> Errors:
    """OrthoNet's filters of the recorded draws; AssertionError where ours are others.

    Held to a float64 run of the official algorithm, and to the official float32 result within the
    distance that the two were recorded to have. The error returned is that to the official one.
    """
    arrays = load_arrays(case)
    assert set(arrays) == {"x", "y", "y64"}
    ours = orthonormal_filters(arrays["x"][:, 0])[:, None]
    exact = _close(ours, arrays["y64"], FLOAT64_TOLERANCE, "y64")
    tolerance = case["max_diff_to_float64_result"] + exact
    return {"y": _close(ours, arrays["y"], tolerance, "y"), "dx": None}


def set_weights(golden: Golden) -> None:
    """Every original tensor into its own tensor of ours, and none of either left over."""
    state = golden.layer.state_dict()
    left = set(state)
    for key, value in golden.arrays.items():
        if key.startswith("w/"):
            name = translate(golden, key[2:])
            assert name in left, f"{golden.name}: {key} has no place, or {name} is set twice"
            left.remove(name)
            theirs = adapted(golden, key[2:], value)
            if name in golden.computed:
                _close(state[name].numpy(), theirs, COMPUTED_TOLERANCE, name)
            else:
                state[name].set_value(theirs)
    for name in golden.zeroed:
        left.remove(name)
        state[name].set_value(np.zeros(state[name].shape, np.float32))
    for name in [name for name in left if name.rpartition(".")[2] in ONES]:
        left.remove(name)
        assert (state[name].numpy() == 1).all(), f"{golden.name}: {name} is not 1"
    assert not left, f"{golden.name}: never set: {sorted(left)}"


def translate(golden: Golden, name: str) -> str:
    """Our name of the original parameter or statistic `name`; KeyError for an unmapped one."""
    if name in golden.names:
        return golden.names[name]
    layer, _, leaf = name.rpartition(".")
    return f"{golden.names[layer]}.{LEAVES[leaf]}"


def adapted(golden: Golden, name: str, value: np.ndarray) -> np.ndarray:
    """`value` in our layout.

    Linear weights, or 1×1 convolutions in their place, are transposed; layer norms `[P, 1, 1]` are
    `[P]`. Anything else that is not of our shape is an error.
    """
    owner, leaf = _owner(golden, name)
    if isinstance(owner, nn.Linear) and leaf == "weight":
        value = value.reshape(value.shape[:2]).T  # an error unless [O, I] or [O, I, 1, 1]
    if isinstance(owner, nn.LayerNorm):
        value = value.reshape(value.shape[0])  # an error unless [P], [P, 1] or [P, 1, 1]
    expected = tuple(getattr(owner, leaf).shape)
    assert value.shape == expected, f"{golden.name}: {name} is {value.shape}, ours {expected}"
    return value


def _owner(golden: Golden, name: str) -> tuple[nn.Layer, str]:
    layer, _, leaf = translate(golden, name).rpartition(".")
    return dict(golden.layer.named_sublayers(include_self=True))[layer], leaf


def _compare_gradients(golden: Golden) -> set[str]:
    parameters = dict(golden.layer.named_parameters())
    keys = {key for key in golden.arrays if key.startswith("g/")}
    for key in keys:
        ours = parameters[translate(golden, key[2:])].grad.numpy()
        theirs = adapted(golden, key[2:], golden.arrays[key])
        scale = max(1.0, float(np.abs(theirs).max()))
        _close(ours, theirs, GRADIENT_TOLERANCE * scale, key)
    return keys


def _watch_norms(layer: nn.Layer) -> dict[int, int]:
    """Fills itself in the forward pass: how many values of a channel each batch norm saw."""
    seen: dict[int, int] = {}

    def note(norm: nn.Layer, given: tuple[paddle.Tensor, ...]) -> None:
        seen[id(norm)] = given[0].size // given[0].shape[1]

    for part in layer.sublayers(include_self=True):
        if isinstance(part, nn.BatchNorm1D | nn.BatchNorm2D):
            part.register_forward_pre_hook(note)
    return seen


def _compare_statistics(
    golden: Golden, before: dict[str, np.ndarray], seen: dict[int, int]
) -> set[str]:
    state = golden.layer.state_dict()
    keys = {key for key in golden.arrays if key.startswith("after/")}
    for key in keys:
        name = translate(golden, key[6:])
        expected = golden.arrays[key]
        if name.endswith("_variance"):
            norm = _owner(golden, key[6:])[0]
            expected = _biased(before[name], expected, seen[id(norm)], norm._momentum)
        _close(state[name].numpy(), expected, Y_TOLERANCE, key)
    return keys


def _biased(old: np.ndarray, new: np.ndarray, values: int, kept: float) -> np.ndarray:
    """What Paddle keeps, which takes the biased variance, where others kept `new`."""
    unbiased = (new - kept * old) / (1 - kept)
    return kept * old + (1 - kept) * unbiased * (values - 1) / values


def _compare_aux(golden: Golden) -> set[str]:
    if not any(key.startswith("aux/") for key in golden.arrays):
        return set()
    aux = {f"aux/{key}": value for key, value in our_aux(golden).items()}
    for key, value in aux.items():  # KeyError where it is not recorded
        _close(value, golden.arrays[key], Y_TOLERANCE, key)
    return set(aux)


def _close(ours: np.ndarray, theirs: np.ndarray, tolerance: float, what: str) -> float:
    """The largest absolute difference, which must be a number and within the tolerance."""
    assert ours.shape == theirs.shape, f"{what}: {ours.shape}, not {theirs.shape}"
    error = float(np.abs(ours.astype(np.float64) - theirs).max())
    assert error <= tolerance, f"{what} is off by {error:.3g}, allowed {tolerance:.3g}"
    return error
