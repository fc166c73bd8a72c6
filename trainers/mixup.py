"""Mixup: training on weighted means of two images and of their losses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.data.facts import Labels

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Mixture:
    """`pixels` [n, 3, H, W], `share` of them images of `labels` [n], the rest of `others` [n]."""

    pixels: Array
    labels: Labels
    others: Labels
    share: float


def mix(pixels: Array, labels: Labels, alpha: float, rng: np.random.Generator) -> Mixture:
    """Each image mixed with another one of its batch; `share` is drawn from Beta(alpha, alpha).

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", arXiv:1710.09412; one share for the
    batch, as in the authors' code.
    """
    share = float(rng.beta(alpha, alpha))
    partners = rng.permutation(len(labels))
    mixed = np.float32(share) * pixels + np.float32(1 - share) * pixels[partners]
    return Mixture(mixed, labels, labels[partners], share)


def unmixed(pixels: Array, labels: Labels) -> Mixture:
    """Images as they are."""
    return Mixture(pixels, labels, labels, 1.0)
