"""What trained candidates say of others: a Gaussian process over their features.

The kernel has two parts. The linear one adds up what features contribute, as a regression with
Gaussian priors does. The curved one, exp(-d²/2) with d the distance of two rows, holds what does
not add up: interplay of placements, and what is peculiar to costs. It reaches as far as rows
usually lie apart, so that it does not take every row's noise for that row's own. Columns of one
level share a scale. Scales, both parts' weights and the noise are the likeliest ones under `PRIOR`,
a normal law for their logarithms, which keeps them sane where there is little to learn from.
Equations are those of Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, as
scikit-learn has them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

PRIOR = {"scale": 0.37, "linear": 0.3, "curved": 0.5, "noise": 0.2}
"""Medians, in units of the losses' variance; of a scale, in units of a column."""
SPREAD = 1.0  # standard deviation of the logarithms around these
BOUNDS = (1e-3, 50.0)
STEPS = 40  # of the search for the likeliest
BLOCK = 128  # rows that are predicted at a time, so that their covariances stay in the cache
ENOUGH = 100  # of the known, to tell by how much a deviation is at most
LEAST_UNIT = 1e-9  # spread of losses that are as good as equal
JITTER = 1e-8  # variance that keeps equal rows apart

Array = NDArray[np.float64]
Levels = NDArray[np.intp]


@dataclass(frozen=True)
class Known:
    """Rows [n, columns] and their losses [n].

    `variances` [n]: of losses that were not seen but estimated, beside the noise that all have; 0
    for the others.
    """

    rows: Array
    losses: Array
    variances: Array


@dataclass(frozen=True, eq=False)
class Parameters:
    """What is chosen before losses are predicted.

    `theta`: logarithms of the kernel's parameters, in terms of losses less `centre`, in `unit`s.
    """

    theta: Array
    centre: float
    unit: float
    reach: float


class Surrogate:
    """Losses of candidates, given those of `known` ones.

    `level_of` [columns]: the level of each column, from 0 on, all of which occur. `parameters`:
    those of another surrogate, to be taken as they are; None takes the likeliest.
    """

    def __init__(
        self, known: Known, level_of: Levels, parameters: Parameters | None = None
    ) -> None:
        self._known, self._level_of = known, level_of
        self._centre = float(np.mean(known.losses)) if parameters is None else parameters.centre
        unit = float(np.std(known.losses)) if parameters is None else parameters.unit
        self._unit = unit if unit > LEAST_UNIT else 1.0
        scales = np.full(int(level_of.max()) + 1, PRIOR["scale"])
        self._reach = (
            _reach(known.rows * scales[level_of]) if parameters is None else parameters.reach
        )
        kernel = PartsKernel(
            level_of,
            reach=self._reach,
            scales=scales,
            linear=PRIOR["linear"],
            curved=PRIOR["curved"],
            noise=PRIOR["noise"],
        )
        if parameters is not None:
            kernel = kernel.clone_with_theta(parameters.theta)
        self._process = GaussianProcessRegressor(
            kernel,
            alpha=JITTER + known.variances / self._unit**2,
            optimizer=None if parameters is not None else _likeliest,
        )
        with warnings.catch_warnings():
            # Near its bound a parameter is where the prior lets it be: without noise, say.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(known.rows, (known.losses - self._centre) / self._unit)

    @property
    def parameters(self) -> Parameters:
        """Those that were given, or were found the likeliest."""
        return Parameters(self._process.kernel_.theta, self._centre, self._unit, self._reach)

    @property
    def noise(self) -> float:
        """The standard deviation of a training's loss around what its row says."""
        return self._unit * float(np.sqrt(self._process.kernel_.noise))

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation [n] of what rows say: of a loss without its noise."""
        blocks = [rows[at : at + BLOCK] for at in range(0, max(len(rows), 1), BLOCK)]
        found = [self._process.predict(block, return_std=True) for block in blocks]
        means, deviations = (np.concatenate(parts) for parts in zip(*found, strict=True))
        variances = np.maximum(deviations**2 - self._process.kernel_.noise, JITTER)
        return self._centre + self._unit * means, self._unit * np.sqrt(variances)

    def at_most(self, rows: Array) -> tuple[Array, Array]:
        """Means as `predict` has them, and deviations that are not less, in a part of its time.

        They are those that the first `ENOUGH` of the known would leave: each one more takes some
        away. Means are those of all.
        """
        process = self._process
        factor, known = process.L_[:ENOUGH, :ENOUGH], process.X_train_
        means, variances = np.zeros(len(rows)), np.zeros(len(rows))
        for at in range(0, len(rows), BLOCK):
            block = slice(at, at + BLOCK)
            covariances = process.kernel_(rows[block], known)
            means[block] = covariances @ process.alpha_
            explained = solve_triangular(
                factor, covariances[:, : len(factor)].T, lower=True, check_finite=False
            )
            variances[block] = process.kernel_.diag(rows[block])
            variances[block] -= np.einsum("ij,ij->j", explained, explained)
        variances = np.maximum(variances - process.kernel_.noise, JITTER)
        return self._centre + self._unit * means, self._unit * np.sqrt(variances)

    def combination(self, rows: Array, weights: Array) -> tuple[float, float]:
        """Mean and standard deviation of the weighted sum of what rows say, weights adding to 0."""
        means, covariances = self._process.predict(rows, return_cov=True)
        covariances = covariances - self._process.kernel_.noise * np.eye(len(rows))
        variance = max(float(weights @ covariances @ weights), 0.0)
        return self._unit * float(weights @ means), self._unit * variance**0.5

    def believing(self, rows: Array) -> Self:
        """The surrogate as it will be if the losses of `rows` turn out as it predicts them."""
        believed, _ = self.predict(rows)
        known = Known(
            np.concatenate([self._known.rows, rows]),
            np.concatenate([self._known.losses, believed]),
            np.concatenate([self._known.variances, np.zeros(len(rows))]),
        )
        return type(self)(known, self._level_of, self.parameters)


def _likeliest(objective: Callable[..., Any], start: Array, bounds: Array) -> tuple[Array, float]:
    """The parameters of the largest likelihood times prior, whose medians are `start`."""

    def penalised(theta: Array) -> tuple[float, Array]:
        value, gradient = objective(theta)
        off = (theta - start) / SPREAD
        return value + 0.5 * float(off @ off), gradient + off / SPREAD

    found = minimize(
        penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
    )
    return found.x, float(found.fun)


class PartsKernel(Kernel):
    """`linear · <a, b> + curved · exp(-|a - b|² / 2·reach²) + noise`.

    Columns are multiplied by their level's scale: `level_of` [columns] indexes `scales`. The noise
    is only between a row and itself.
    """

    def __init__(
        self,
        level_of: Levels,
        *,
        reach: float,
        scales: Array,
        linear: float,
        curved: float,
        noise: float,
    ) -> None:
        self.level_of, self.reach, self.scales = level_of, reach, scales
        self.linear, self.curved, self.noise = linear, curved, noise

    @property
    def hyperparameter_scales(self) -> Hyperparameter:
        """The scale of each level."""
        return Hyperparameter("scales", "numeric", BOUNDS, len(self.scales))

    @property
    def hyperparameter_linear(self) -> Hyperparameter:
        """The weight of the linear part."""
        return Hyperparameter("linear", "numeric", BOUNDS)

    @property
    def hyperparameter_curved(self) -> Hyperparameter:
        """The weight of the curved part."""
        return Hyperparameter("curved", "numeric", BOUNDS)

    @property
    def hyperparameter_noise(self) -> Hyperparameter:
        """The variance of a loss around what its row says."""
        return Hyperparameter("noise", "numeric", BOUNDS)

    def __call__(self, X: Array, Y: Array | None = None, eval_gradient: bool = False) -> Any:  # noqa: N803
        """Covariances [n, m]; if asked, their derivatives by `theta` [n, n, theta] as well."""
        left = X * self._of_columns
        right = left if Y is None else Y * self._of_columns
        inner = left @ right.T
        curved = _squares(left, right, inner)
        curved *= -0.5 / self.reach**2
        np.exp(curved, out=curved)
        curved *= self.curved
        found = self.linear * inner
        found += curved
        if Y is None:
            found[np.diag_indices(len(X))] += self.noise
        return (found, self._gradient(left, inner, curved)) if eval_gradient else found

    def _gradient(self, rows: Array, inner: Array, curved: Array) -> Array:
        """By the logarithms of curved, linear, noise and scales: `theta` is in order of names."""
        parts = [curved, self.linear * inner, self.noise * np.eye(len(rows))]
        for level in range(len(self.scales)):
            columns = rows[:, self.level_of == level]
            of_level = columns @ columns.T
            squares = _squares(columns, columns, of_level)
            parts.append(2 * self.linear * of_level - curved * squares / self.reach**2)
        return np.asarray(np.stack(parts, axis=-1))

    def diag(self, X: Array) -> Array:  # noqa: N803
        """Variances [n]: those of what a row says, and the noise."""
        rows = X * self._of_columns
        norms: Array = np.einsum("ij,ij->i", rows, rows)
        return self.linear * norms + self.curved + self.noise

    def is_stationary(self) -> bool:
        """The linear part is not."""
        return False

    @property
    def _of_columns(self) -> Array:
        found: Array = self.scales[self.level_of]
        return found


def _squares(left: Array, right: Array, inner: Array) -> Array:
    """Squared distances of all rows."""
    norms = [np.einsum("ij,ij->i", rows, rows) for rows in (left, right)]
    found: Array = -2 * inner
    found += norms[0][:, None]
    found += norms[1]
    return np.maximum(found, 0.0, out=found)


def _reach(rows: Array) -> float:
    """The root of the median squared distance of different rows."""
    squares = _squares(rows, rows, rows @ rows.T)[np.triu_indices(len(rows), 1)]
    typical = float(np.median(squares)) if len(squares) else 0.0
    return typical**0.5 if typical > 0 else 1.0
