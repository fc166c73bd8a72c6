"""The blocks in float64 NumPy, written from the papers' formulas and not from our layers.

`x` is `[N, C, H, W]`; `w` holds weights by the formula's letters, matrices as `[outputs, inputs]`,
and batch norms, which decide whether the block is that of evaluation or of training.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Any]


class BatchNorm:
    """`γ·(rows − mean) / √(var + 1e-5) + β` of rows `[…, C]`, the statistics `[C]`.

    They are the running ones or, in training, those of the rows themselves: the mean and the mean
    of the squared distances from it, which no n − 1 makes unbiased. A single row has no variance,
    which no paper speaks of: it is normalised by the running ones, and does not move them.
    """

    def __init__(self, gamma: Array, beta: Array, mean: Array, var: Array) -> None:
        self.gamma, self.beta = gamma, beta
        self.running = mean, var
        self.training = False
        self.batch: tuple[Array, Array] | None = None  # of the latest rows in training

    def __call__(self, rows: Array) -> Array:
        flat = rows.reshape(-1, rows.shape[-1])
        if not self.training or len(flat) == 1:
            return self._scaled(rows, *self.running)
        mean = flat.sum(axis=0) / len(flat)
        var = ((flat - mean) ** 2).sum(axis=0) / len(flat)
        self.batch = mean, var
        return self._scaled(rows, mean, var)

    def moved(self, momentum: float) -> list[Array]:
        """The running statistics, mean and variance, after the latest rows."""
        pairs = zip(self.running, self.batch or self.running, strict=True)
        return [momentum * old + (1 - momentum) * new for old, new in pairs]

    def _scaled(self, rows: Array, mean: Array, var: Array) -> Array:
        return (rows - mean) / np.sqrt(var + 1e-5) * self.gamma + self.beta


def nonlocal_block(x: Array, w: Weights, *, mode: str, subsample: bool, scale: bool) -> Array:
    """`x + BN(W_z y)`, `y_i = Σ_j w_ij g(x_j)`; without `bn` in `w` there is no batch norm."""
    sums = []
    for image in x:
        values = _columns(
            max_pooled(_project(image, w, "g")) if subsample else _project(image, w, "g")
        )
        queries, keys = image, image
        if mode != "gaussian":
            queries, keys = _project(image, w, "theta"), _project(image, w, "phi")
        keys = _columns(max_pooled(keys) if subsample else keys)
        queries = _columns(queries)
        y = np.zeros((queries.shape[1], values.shape[0]))
        for i in range(queries.shape[1]):
            scores = np.array([queries[:, i] @ keys[:, j] for j in range(keys.shape[1])])
            if mode == "dot_product":
                weights = scores / keys.shape[1]
            else:
                weights = softmax(scores / np.sqrt(len(queries)) if scale else scores)
            y[i] = values @ weights
        sums.append(y)
    return nonlocal_sum(x, np.stack(sums), w)


def nonlocal_sum(x: Array, y: Array, w: Weights) -> Array:
    """`x + BN(W_z y)` of y `[N, H·W, Ci]`."""
    z = y @ w["z_weight"].T + w["z_bias"]
    if "bn" in w:
        z = w["bn"](z)
    return x + z.transpose(0, 2, 1).reshape(x.shape)


def global_context(x: Array, w: Weights, *, pooling: str, fusion: str) -> Array:
    """`x·σ(T_mul(ctx)) + T_add(ctx)`, of which `fusion` names the parts that are there."""
    out = np.empty_like(x)
    for n, image in enumerate(x):
        columns = _columns(image)
        context = columns.mean(axis=1)
        if pooling == "attention":
            context = columns @ softmax(w["k_weight"][0] @ columns + w["k_bias"])
        result = image
        if "mul" in fusion:
            result = result * sigmoid(_transform(context, w, "mul"))[:, None, None]
        if "add" in fusion:
            result = result + _transform(context, w, "add")[:, None, None]
        out[n] = result
    return out


def squeeze_excitation(x: Array, w: Weights) -> Array:
    """`x·σ(W2 ReLU(W1 GAP x))`."""
    pooled = x.mean(axis=(2, 3))
    hidden = np.maximum(pooled @ w["1_weight"].T + w.get("1_bias", 0.0), 0)
    gate = sigmoid(hidden @ w["2_weight"].T + w.get("2_bias", 0.0))
    return x * gate[:, :, None, None]


def _relu(values: Array) -> Array:
    return np.maximum(values, 0)


def bridge_attention(
    x: Array,
    earlier: Sequence[Array],
    w: Weights,
    activation: Callable[[Array], Array] = _relu,
) -> Array:
    """`x·σ(W_g ReLU(Σ_i BN_i(W_i GAP(F_i))))`, x being the last F_i."""
    total = 0.0
    for i, features in enumerate((*earlier, x)):
        pooled = features.mean(axis=(2, 3))
        total = total + w[f"bn{i}"](pooled @ w[f"{i}_weight"].T)
    gate = sigmoid(activation(total) @ w["g_weight"].T)
    return x * gate[:, :, None, None]


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def softmax(scores: Array) -> Array:
    """Of one row."""
    exponents = np.exp(scores - scores.max())
    return exponents / exponents.sum()


def _transform(context: Array, w: Weights, name: str) -> Array:
    """Conv C→P, layer norm over P with ε 1e-5, ReLU, conv P→C, of one image's context `[C]`."""
    hidden = w[f"{name}_in_weight"] @ context + w[f"{name}_in_bias"]
    hidden = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
    hidden = np.maximum(hidden * w[f"{name}_ln_gamma"] + w[f"{name}_ln_beta"], 0)
    return w[f"{name}_out_weight"] @ hidden + w[f"{name}_out_bias"]


def _project(image: Array, w: Weights, name: str) -> Array:
    return np.einsum("oc,chw->ohw", w[f"{name}_weight"], image) + w[f"{name}_bias"][:, None, None]


def max_pooled(image: Array) -> Array:
    """The largest of every whole 2×2 square; an odd last row or column is left out."""
    channels, height, width = image.shape
    out = np.empty((channels, height // 2, width // 2))
    for i in range(height // 2):
        for j in range(width // 2):
            out[:, i, j] = image[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(1, 2))
    return out


def _columns(image: Array) -> Array:
    return image.reshape(len(image), -1)
