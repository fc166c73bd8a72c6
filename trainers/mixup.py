"""Mixup: training on weighted means of two images and of their losses."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle

from trainers.data.batches import AnyBatch

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mixture:
    """`pixels` [n, 3, H, W], `share` of them images of `labels` [n], the rest of `others` [n].

    All arrays, or all tensors on one device.
    """

    pixels: Any
    labels: Any
    others: Any
    share: float

    def in_parts(self, many: int) -> Iterator["Mixture"]:
        """Up to `many` mixtures of about as many images each, in their order; none is empty."""
        images = len(self.labels)
        ends = [images * part // many for part in range(many + 1)]
        for start, end in itertools.pairwise(dict.fromkeys(ends)):
            part = slice(start, end)
            yield Mixture(self.pixels[part], self.labels[part], self.others[part], self.share)


def mixtures(
    batches: Iterable[AnyBatch], sizes: Sequence[int], alpha: float, rng: np.random.Generator
) -> Iterator[Mixture]:
    """The batches of an epoch, of these `sizes`, each mixed with itself.

    All numbers are drawn beforehand, so that with tensors one transfer to their device is enough.
    """
    drawn = [draw(size, alpha, rng) for size in sizes]
    partners: Any = np.concatenate([own for _, own in drawn])
    start = 0
    for (pixels, labels), (share, own) in zip(batches, drawn, strict=True):
        if isinstance(pixels, paddle.Tensor) and not isinstance(partners, paddle.Tensor):
            partners = paddle.to_tensor(partners)
        end = start + len(own)
        yield mix(pixels, labels, share, partners[start:end])
        start = end


def draw(count: int, alpha: float, rng: np.random.Generator) -> tuple[float, Positions]:
    """For a batch of `count` images: the share, of Beta(alpha, alpha), and each one's partner.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", arXiv:1710.09412; one share for the
    batch, as in the authors' code.
    """
    share = float(rng.beta(alpha, alpha))
    return share, rng.permutation(count)


def mix(pixels: Any, labels: Any, share: float, partners: Any) -> Mixture:
    """`share` of each image and the rest of its partner [n]: arrays, or tensors on one device."""
    mixed = pixels * share + _taken(pixels, partners) * (1 - share)
    return Mixture(mixed, labels, _taken(labels, partners), share)


def unmixed(pixels: Any, labels: Any) -> Mixture:
    """Images as they are."""
    return Mixture(pixels, labels, labels, 1.0)


def _taken(values: Any, indices: Any) -> Any:
    return values[indices] if isinstance(values, np.ndarray) else paddle.gather(values, indices)
