"""Sets a golden case's weights, runs our layer and compares everything the case recorded."""

import numpy as np
import paddle
from golden_cases import DX_TOLERANCE, GRADIENT_TOLERANCE, LEAVES, Y_TOLERANCE, Golden
from paddle import nn


def compare(golden: Golden) -> None:
    """AssertionError where a value differs or a tensor is mismatched or left over."""
    set_weights(golden)
    golden.layer.train() if golden.mode == "train" else golden.layer.eval()
    before = {key: value.numpy() for key, value in golden.layer.state_dict().items()}
    sources = sorted(key for key in golden.arrays if key[0] == "x")  # x, x1, x2
    inputs = [paddle.to_tensor(golden.arrays[key], stop_gradient=False) for key in sources]
    y = golden.call(*inputs).reshape(golden.arrays["y"].shape)
    (y * paddle.to_tensor(golden.arrays["r"])).sum().backward()
    _close(y.numpy(), golden.arrays["y"], Y_TOLERANCE, "y")
    for key, value in zip(sources, inputs, strict=True):
        _close(value.grad.numpy(), golden.arrays[f"d{key}"], DX_TOLERANCE, f"d{key}")
    compared = _compare_gradients(golden) + _compare_statistics(golden, before)
    rest = [key for key in golden.arrays if key.split("/")[0] in ("g", "after")]
    assert sorted(compared) == sorted(rest)


def set_weights(golden: Golden) -> None:
    """Every original tensor into its own tensor of ours, and none of either left over."""
    state = golden.layer.state_dict()
    left = set(state)
    for key, value in golden.arrays.items():
        if key.startswith("w/"):
            name = translate(golden, key[2:])
            assert name in left, f"{golden.name}: {key} has no place, or {name} is set twice"
            left.remove(name)
            state[name].set_value(adapted(golden, key[2:], value))
    for name in golden.zeroed:
        left.remove(name)
        state[name].set_value(np.zeros(state[name].shape, np.float32))
    assert not left, f"{golden.name}: never set: {sorted(left)}"


def translate(golden: Golden, name: str) -> str:
    """Our name of the original parameter or statistic `name`; KeyError for an unmapped one."""
    layer, _, leaf = name.rpartition(".")
    return f"{golden.names[layer]}.{LEAVES[leaf]}"


def adapted(golden: Golden, name: str, value: np.ndarray) -> np.ndarray:
    """`value` in our layout: linear weights transposed, layer norms `[P, 1, 1]` as `[P]`."""
    owner, leaf = _owner(golden, name)
    if isinstance(owner, nn.Linear) and leaf == "weight":
        value = value.T
    if isinstance(owner, nn.LayerNorm):
        value = value.reshape(value.shape[0])  # an error unless [P], [P, 1] or [P, 1, 1]
    expected = tuple(getattr(owner, leaf).shape)
    assert value.shape == expected, f"{golden.name}: {name} is {value.shape}, ours {expected}"
    return value


def _owner(golden: Golden, name: str) -> tuple[nn.Layer, str]:
    layer, _, leaf = translate(golden, name).rpartition(".")
    return dict(golden.layer.named_sublayers())[layer], leaf


def _compare_gradients(golden: Golden) -> list[str]:
    parameters = dict(golden.layer.named_parameters())
    keys = [key for key in golden.arrays if key.startswith("g/")]
    for key in keys:
        ours = parameters[translate(golden, key[2:])].grad.numpy()
        theirs = adapted(golden, key[2:], golden.arrays[key])
        scale = max(1.0, float(np.abs(theirs).max()))
        _close(ours, theirs, GRADIENT_TOLERANCE * scale, key)
    return keys


def _compare_statistics(golden: Golden, before: dict[str, np.ndarray]) -> list[str]:
    state = golden.layer.state_dict()
    keys = [key for key in golden.arrays if key.startswith("after/")]
    for key in keys:
        name = translate(golden, key[6:])
        expected = golden.arrays[key]
        if name.endswith("_variance"):
            expected = _biased(before[name], expected, _values_per_channel(golden, key[6:]))
        _close(state[name].numpy(), expected, Y_TOLERANCE, key)
    return keys


def _biased(old: np.ndarray, new: np.ndarray, values: int) -> np.ndarray:
    """What Paddle keeps, which takes the biased variance, where others kept `new`."""
    unbiased = (new - 0.9 * old) / 0.1
    return 0.9 * old + 0.1 * unbiased * (values - 1) / values


def _values_per_channel(golden: Golden, name: str) -> int:
    """How many values of a channel a batch norm saw: of a map every position, of a vector one."""
    batch, _, height, width = golden.arrays["x"].shape
    return batch if isinstance(_owner(golden, name)[0], nn.BatchNorm1D) else batch * height * width


def _close(ours: np.ndarray, theirs: np.ndarray, tolerance: float, what: str) -> None:
    assert ours.shape == theirs.shape, f"{what}: {ours.shape}, not {theirs.shape}"
    error = float(np.abs(ours.astype(np.float64) - theirs).max())
    assert error <= tolerance, f"{what} is off by {error:.3g}, allowed {tolerance:.3g}"
