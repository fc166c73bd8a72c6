"""More blocks in float64 NumPy, written from the papers' formulas and not from our layers.

`x` is `[N, C, H, W]`; `w` holds weights by the formula's letters, matrices as `[outputs, inputs]`,
and batch norms, which decide whether the block is that of evaluation or of training.
"""

from collections.abc import Sequence

import numpy as np
from numpy_reference import (
    Array,
    Weights,
    bridge_attention,
    max_pooled,
    nonlocal_sum,
    sigmoid,
    softmax,
)


def nonlocal_concatenation(x: Array, w: Weights, *, subsample: bool) -> Array:
    """`x + BN(W_z y)`, `y_i = Σ_j ReLU(w·[θ_i; φ_j]) / M · g(x_j)` over the M keys j."""
    sums = []
    for parts in zip(*(_linear(x, w, name) for name in ("theta", "phi", "g")), strict=True):
        queries, keys, values = parts
        if subsample:
            keys, values = max_pooled(keys), max_pooled(values)
        queries, keys, values = (_positions(part) for part in (queries, keys, values))
        y = np.zeros((len(queries), values.shape[1]))
        for i, query in enumerate(queries):
            for key, value in zip(keys, values, strict=True):
                affinity = max(w["w_weight"] @ np.concatenate([query, key]), 0.0)
                y[i] += affinity / len(keys) * value
        sums.append(y)
    return nonlocal_sum(x, np.stack(sums), w)


def simplified_nonlocal(x: Array, w: Weights) -> Array:
    """`x + BN(W_v ctx)`, `ctx = Σ_j softmax_j(w_k·x_j + b) x_j`, the same at every position."""
    contexts = np.empty(x.shape[:2])
    for n, image in enumerate(x):
        positions = _positions(image)
        contexts[n] = softmax(positions @ w["k_weight"][0] + w["k_bias"]) @ positions
    z = contexts @ w["v_weight"].T + w["v_bias"]
    if "bn" in w:
        z = w["bn"](z)
    return x + z[:, :, None, None]


def bat(x: Array, w: Weights, *, s: int, k: int) -> Array:
    """`x + Z(Y((P⊗I)·u·(Q⊗I)))`, u = U(x), P and Q of group g from `o = O(u)`; see `_transforms`.

    The capitals U, O, Y, Z are 1×1 convolution, batch norm, ReLU.
    """
    u = _conv_norm_relu(x, w, "u")
    observed = _conv_norm_relu(u, w, "o")
    rows, columns = np.eye(u.shape[2] // s), np.eye(u.shape[3] // s)
    y = np.empty_like(u)
    for n, image in enumerate(u):
        left, right = _transforms(observed[n], w, s, k)
        for c, plane in enumerate(image):
            group = c // (len(image) // k)
            y[n, c] = np.kron(left[group], rows) @ plane @ np.kron(right[group], columns)
    return x + _conv_norm_relu(_conv_norm_relu(y, w, "y"), w, "z")


def orthonormal_filters(draws: Array) -> Array:
    """`K_i = v / |v|`, v = draw i less its parts along the group's earlier K, taken off in turn.

    `[C, H, W]`; a group is H·W consecutive filters, as many as can be orthogonal.
    """
    channels, height, width = draws.shape
    vectors = draws.reshape(channels, -1).astype(np.float64)
    for start in range(0, channels, height * width):
        group = vectors[start : start + height * width]
        for i in range(len(group)):
            for j in range(i):
                group[i] -= (group[j] @ group[i]) * group[j]
            group[i] /= np.sqrt(group[i] @ group[i])
    return vectors.reshape(draws.shape)


def ortho(x: Array, filters: Array, w: Weights) -> Array:
    """`x·σ(W2 ReLU(W1 q))`, `q_c = Σ_hw K_c ⊙ x_c`, x averaged to the filters' size first."""
    squeezed = (_averaged(x, *filters.shape[1:]) * filters).sum(axis=(2, 3))
    return x * sigmoid(_perceptron(squeezed, w))[:, :, None, None]


def dct_filters(
    channels: int, height: int, width: int, frequencies: Sequence[tuple[int, int]]
) -> Array:
    """`K_c[i, j] = B_u(i; H)·B_v(j; W)`, (u, v) the pair of c's share of channels; `[C, H, W]`.

    The pairs are those of a 7×7 grid, u along the height: `u·(H // 7)` and `v·(W // 7)` here.
    """
    filters = np.empty((channels, height, width))
    share = channels // len(frequencies)
    for c in range(channels):
        u, v = frequencies[c // share]
        for i in range(height):
            for j in range(width):
                down = _cosine(u * (height // 7), i, height)
                across = _cosine(v * (width // 7), j, width)
                filters[c, i, j] = down * across
    return filters


def fca(x: Array, filters: Array, w: Weights) -> Array:
    """`x·σ(W2 ReLU(W1 q))`, `q_c = Σ_hw K_c ⊙ x_c`: `ortho` with `dct_filters`."""
    return ortho(x, filters, w)


def eca(x: Array, weight: Array) -> Array:
    """`x_c·σ(Σ_i weight_i · GAP(x)_{c + i − k//2})`, zero beyond the first and last channel."""
    reach = len(weight) // 2
    pooled = np.pad(x.mean(axis=(2, 3)), ((0, 0), (reach, reach)))
    scores = np.empty(x.shape[:2])
    for c in range(x.shape[1]):
        scores[:, c] = pooled[:, c : c + len(weight)] @ weight
    return x * sigmoid(scores)[:, :, None, None]


def cbam(x: Array, w: Weights, *, spatial: bool) -> Array:
    """`x' = x·σ(MLP(mean x) + MLP(max x))`, then `x'·σ(BN(conv7×7[max_c x', mean_c x']))`."""
    scores = _perceptron(x.mean(axis=(2, 3)), w) + _perceptron(x.max(axis=(2, 3)), w)
    x = x * sigmoid(scores)[:, :, None, None]
    if not spatial:
        return x
    planes = np.stack([x.max(axis=1), x.mean(axis=1)], axis=1)
    planes = np.pad(planes, ((0, 0), (0, 0), (3, 3), (3, 3)))
    seen = np.empty((len(x), *x.shape[2:], 1))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            window = planes[:, :, i : i + 7, j : j + 7]
            seen[:, i, j, 0] = (window * w["conv_weight"][0]).sum(axis=(1, 2, 3))
    gate = sigmoid(w["bn"](seen))
    return x * gate.transpose(0, 3, 1, 2)


def simam(x: Array, e_lambda: float) -> Array:
    """`x·σ(d / (4·(Σ_hw d / (HW − 1) + λ)) + ½)`, `d = (x − μ)²`, μ the channel's mean."""
    d = (x - x.mean(axis=(2, 3), keepdims=True)) ** 2
    variance = d.sum(axis=(2, 3), keepdims=True) / (x.shape[2] * x.shape[3] - 1)
    return x * sigmoid(d / (4 * (variance + e_lambda)) + 0.5)


def coordinate(x: Array, w: Weights) -> Array:
    """`x·σ(W_h T(mean_w x))·σ(W_w T(mean_h x))`, `T = hswish(BN(W_1 ·))` of both together."""
    strips = np.concatenate([x.mean(axis=3), x.mean(axis=2)], axis=2).transpose(0, 2, 1)
    hidden = w["bn"](strips @ w["1_weight"].T + w["1_bias"])
    hidden = hidden * np.clip(hidden + 3, 0, 6) / 6
    of_rows, of_columns = hidden[:, : x.shape[2]], hidden[:, x.shape[2] :]
    down = sigmoid(of_rows @ w["h_weight"].T + w["h_bias"]).transpose(0, 2, 1)
    across = sigmoid(of_columns @ w["w_weight"].T + w["w_bias"]).transpose(0, 2, 1)
    return x * down[:, :, :, None] * across[:, :, None, :]


def bridge_silu(x: Array, earlier: Sequence[Array], w: Weights) -> Array:
    """`x·σ(W_g SiLU(Σ_i BN_i(W_i GAP(F_i))))`, x being the last F_i."""
    return bridge_attention(x, earlier, w, lambda total: total * sigmoid(total))


def _transforms(o: Array, w: Weights, s: int, k: int) -> tuple[Array, Array]:
    """`P = σ(conv_p(rp))` over its row sums, `Q = σ(conv_q(cp))` over its column sums; `[k, s, s]`.

    rp and cp `[k, s]`: the largest of each of s bands of rows, of columns. An output of conv_p and
    conv_q stands for (group, row, column).
    """
    row_peaks, column_peaks = np.empty((k, s)), np.empty((k, s))
    for group in range(k):
        for i in range(s):
            row_peaks[group, i] = np.split(o[group], s, axis=0)[i].max()
            column_peaks[group, i] = np.split(o[group], s, axis=1)[i].max()
    p = np.einsum("ogi,gi->o", w["p_weight"][:, :, :, 0], row_peaks) + w.get("p_bias", 0.0)
    q = np.einsum("ogi,gi->o", w["q_weight"][:, :, 0, :], column_peaks) + w.get("q_bias", 0.0)
    p, q = sigmoid(p).reshape(k, s, s), sigmoid(q).reshape(k, s, s)
    return p / p.sum(axis=2, keepdims=True), q / q.sum(axis=1, keepdims=True)


def _conv_norm_relu(maps: Array, w: Weights, name: str) -> Array:
    """`ReLU(BN(W·))` at every position of maps `[N, C, H, W]`."""
    rows = w[f"bn{name}"](_linear(maps, w, name).transpose(0, 2, 3, 1))
    return np.maximum(rows, 0).transpose(0, 3, 1, 2)


def _linear(maps: Array, w: Weights, name: str) -> Array:
    """A 1×1 convolution of maps `[N, C, H, W]`."""
    rows = maps.transpose(0, 2, 3, 1) @ w[f"{name}_weight"].T + w.get(f"{name}_bias", 0.0)
    return rows.transpose(0, 3, 1, 2)


def _perceptron(rows: Array, w: Weights) -> Array:
    """`W2 ReLU(W1 ·)` of `[N, C]`."""
    hidden = np.maximum(rows @ w["1_weight"].T + w.get("1_bias", 0.0), 0)
    return hidden @ w["2_weight"].T + w.get("2_bias", 0.0)


def _averaged(x: Array, height: int, width: int) -> Array:
    """Mean over rows ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉ and columns alike: windows may overlap."""
    out = np.empty((*x.shape[:2], height, width))
    for i in range(height):
        top, bottom = _window(i, x.shape[2], height)
        for j in range(width):
            left, right = _window(j, x.shape[3], width)
            out[:, :, i, j] = x[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return out


def _window(i: int, size: int, parts: int) -> tuple[int, int]:
    return i * size // parts, -(-(i + 1) * size // parts)


def _cosine(frequency: int, position: int, length: int) -> float:
    """`cos(π f (position + ½) / L) / √L`, times √2 where f ≠ 0."""
    value = np.cos(np.pi * frequency * (position + 0.5) / length) / np.sqrt(length)
    return float(value if frequency == 0 else value * np.sqrt(2))


def _positions(image: Array) -> Array:
    """`[C, H, W]` as `[H·W, C]`."""
    return image.reshape(len(image), -1).T
