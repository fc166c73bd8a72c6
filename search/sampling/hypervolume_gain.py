"""What a candidate of known costs is expected to add to the hypervolume of a front.

The front's points have costs and a loss; all are minimised. For every vector z of costs let T(z) be
the least loss that the front has at costs of at most z, or the reference's loss where it has none.
A candidate with costs c and loss y adds the volume

    ∫ max(0, T(z) - y) dz    over all z between c and the reference's costs,

so, since T takes few values t and the costs are known, with a normal law for y alone

    expected gain = Σ_t  volume of {z ≥ c: T(z) = t} · E[max(0, t - y)].

This is the expected hypervolume improvement (Emmerich, Giannakoglou, Naujoks, 2006) of which all
objectives but one are certain. The volumes are multilinear in c within each cell of the grid that
the front's costs span, so they are interpolated without error.
"""

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.special import ndtr

MOST_NUMBERS = 4_000_000  # of the grid, over all values of T; a larger front is thinned for it

Array = NDArray[np.float64]


class HypervolumeGain:
    """The gain over a front: `costs` [m, d] and `losses` [m] of its points, m of 0 or more.

    `reference`: the costs [d] up to which, and the loss up to which, volume counts. Points beyond
    it count for nothing. Where the front has so many points that the grid would not fit into
    memory, evenly many are left out by their loss, and the gain beside those is overestimated.
    """

    def __init__(
        self, costs: ArrayLike, losses: ArrayLike, reference: tuple[ArrayLike, float]
    ) -> None:
        self._limit, worst = np.asarray(reference[0], float), float(reference[1])
        points = np.asarray(costs, float).reshape(-1, len(self._limit))
        values = np.asarray(losses, float)
        inside = (points < self._limit).all(1) & (values < worst)
        points, values = points[inside], values[inside]
        if len(values):
            front = moocore.is_nondominated(np.column_stack([points, values]))
            points, values = points[front], values[front]
        kept = _thinned(np.argsort(values, kind="stable"), points.shape[1])
        self._points, self._values, self._worst = points[kept], values[kept], worst
        self._lowest = np.full(len(self._limit), np.inf)  # costs that the grid begins at

    def expected(self, costs: ArrayLike, means: ArrayLike, deviations: ArrayLike) -> Array:
        """The expected gains [n] of candidates with `costs` [n, d] and normally distributed losses.

        A deviation of 0 gives the gain of a loss that is known.
        """
        wanted = np.asarray(costs, float).reshape(-1, len(self._limit))
        if not len(wanted):
            return np.zeros(0)
        if (wanted < self._lowest).any():
            self._span(np.minimum(self._lowest, wanted.min(0)))
        volumes = self._volumes(np.minimum(wanted, self._limit))
        improvements = _improvements(self._levels, means, deviations)
        found: Array = np.einsum("nt,nt->n", volumes, improvements)
        return found

    def _span(self, lowest: Array) -> None:
        """Makes the grid from these costs on: the values of T, the volume behind with each."""
        least = np.minimum(lowest, self._points.min(0, initial=np.inf))
        least = np.minimum(least, self._limit - 1e-12 * (1 + np.abs(self._limit)))
        axes = [
            np.unique(np.concatenate(([low, high], self._points[:, axis])))
            for axis, (low, high) in enumerate(zip(least, self._limit, strict=True))
        ]
        thresholds = self._thresholds(axes)
        levels, level_of = np.unique(thresholds, return_inverse=True)
        cells = np.zeros((*(len(axis) for axis in axes), len(levels)))
        body = tuple(slice(0, -1) for _ in axes)
        np.put_along_axis(
            cells[body], level_of.reshape(thresholds.shape)[..., None], _sizes(axes)[..., None], -1
        )
        for axis in range(len(axes)):
            cells = np.flip(np.cumsum(np.flip(cells, axis), axis), axis)
        self._lowest, self._levels = lowest, levels
        self._volumes = RegularGridInterpolator(axes, cells)

    def _thresholds(self, axes: list[Array]) -> Array:
        """T in every cell, which is what it is at the cell's lower corner."""
        found = np.full([len(axis) - 1 for axis in axes], self._worst)
        at = tuple(
            np.searchsorted(axis, self._points[:, number]) for number, axis in enumerate(axes)
        )
        np.minimum.at(found, at, self._values)
        for axis in range(len(axes)):
            found = np.minimum.accumulate(found, axis)
        return found


def _thinned(ranked: NDArray[np.intp], dimensions: int) -> NDArray[np.intp]:
    most = int(MOST_NUMBERS ** (1 / (dimensions + 1)))
    if len(ranked) <= most:
        return ranked
    kept: NDArray[np.intp] = ranked[np.linspace(0, len(ranked) - 1, most).round().astype(int)]
    return kept


def _sizes(axes: list[Array]) -> Array:
    sizes = np.ones(())
    for axis in axes:
        sizes = np.multiply.outer(sizes, np.diff(axis))
    return sizes


def _improvements(levels: Array, means: ArrayLike, deviations: ArrayLike) -> Array:
    """E[max(0, t - y)] for every candidate [n] and level [t]."""
    ahead = levels - np.asarray(means, float)[:, None]
    spread = np.asarray(deviations, float)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = ahead / spread
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        uncertain = ahead * ndtr(z) + spread * density
    return np.where(spread > 0, uncertain, np.maximum(ahead, 0.0))
