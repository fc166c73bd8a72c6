"""A first guess at latencies, while too few were measured to fit `search.latency_model`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models import build
from models.architecture import Architecture

GUESS = (0.05, 1.0)  # what a block adds to the ratio, by itself and for each part of the MACs
DOUBT = (0.1, 1.0)  # standard deviations of these before anything is measured
NOISE = 0.05


def rough_ratio(
    architecture: Architecture, image_size: int, measured: Sequence[tuple[Architecture, float]]
) -> float:
    """The latency of `architecture` ÷ that of its plain backbone, at least 1.

    A regression on the number of blocks and on their share of MACs, which the `measured` ratios
    correct. Raises InputError for an illegal placement.
    """
    rows = np.array([_row(each, image_size) for each, _ in measured]).reshape(-1, 2)
    left = np.array([ratio - 1 for _, ratio in measured]) - rows @ GUESS
    precision = np.diag(1 / np.square(DOUBT)) + rows.T @ rows / NOISE**2
    found = np.asarray(GUESS) + np.linalg.solve(precision, rows.T @ left / NOISE**2)
    return max(1.0, 1 + float(_row(architecture, image_size) @ found))


def _row(architecture: Architecture, image_size: int) -> NDArray[np.float64]:
    macs = build.cost(architecture, image_size).macs
    plain = build.plan(architecture, image_size).cost.macs
    return np.array([len(architecture.placements), macs / plain - 1])
