"""A first guess at latencies, while too few were measured to fit `search.latency_model`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models import build
from models.architecture import Architecture

GUESS = (0.05, 1.0)  # what a block adds to the ratio, by itself and for each part of the MACs
DOUBT = (0.1, 1.0)  # standard deviations of these before anything is measured
NOISE = 0.05


class RoughLatency:
    """A regression on the number of blocks and on their share of MACs, from `measured` ratios."""

    def __init__(self, image_size: int, measured: Sequence[tuple[Architecture, float]]) -> None:
        self._image_size = image_size
        rows = np.array([self._row(each) for each, _ in measured]).reshape(-1, 2)
        left = np.array([ratio - 1 for _, ratio in measured]) - rows @ GUESS
        precision = np.diag(1 / np.square(DOUBT)) + rows.T @ rows / NOISE**2
        self._found = np.asarray(GUESS) + np.linalg.solve(precision, rows.T @ left / NOISE**2)

    def ratio(self, architecture: Architecture) -> float:
        """Its latency ÷ that of its plain backbone, at least 1.

        Raises InputError for an illegal placement.
        """
        return max(1.0, 1 + float(self._row(architecture) @ self._found))

    def _row(self, architecture: Architecture) -> NDArray[np.float64]:
        macs = build.cost(architecture, self._image_size).macs
        plain = build.plan(architecture, self._image_size).cost.macs
        return np.array([len(architecture.placements), macs / plain - 1])
