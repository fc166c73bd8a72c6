"""The median of repeated measurements, and how well it is known."""

import math
from collections.abc import Sequence

import numpy as np

_Z_95 = 1.96


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median of `values` and the ends of its 95 % interval, whatever their distribution is.

    The ends are the order statistics that the binomial distribution of "how many lie below the
    median" gives, in its normal approximation with continuity correction; David and Nagaraja,
    Order Statistics, 7.1. Of few values the interval is their whole range, and of fewer than six
    less sure than 95 %. Raises ValueError where there are none.
    """
    if not values:
        raise ValueError("no values")
    ordered = np.sort(np.asarray(values, float))
    count = len(ordered)
    outside = max(0, math.floor((count - _Z_95 * math.sqrt(count) - 1) / 2))
    low, high = ordered[outside], ordered[count - 1 - outside]
    return float(np.median(ordered)), float(low), float(high)
