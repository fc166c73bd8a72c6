"""How much more accurate one trial is than another, and whether that is more than chance.

Validation accuracies are means over `images` images, so each has a binomial standard error.
The two are taken as independent: both are read on the same images, which makes the true
interval rather narrower; another seed, which would make it wider, is not in it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from search.trial import Role, State, Trial

Z_95 = 1.96  # standard errors on either side of a mean that hold it in 95 of 100 cases


@dataclass(frozen=True)
class Gain:
    """A difference of two validation accuracies, both numbers fractions: `value ± half_width`."""

    value: float
    half_width: float

    @property
    def within_noise(self) -> bool:
        """Whether the validation images are too few to tell this difference from none."""
        return abs(self.value) <= self.half_width

    @property
    def won(self) -> bool:
        """Whether it is more than noise, and a gain."""
        return self.value > 0 and not self.within_noise

    @property
    def lost(self) -> bool:
        """Whether it is more than noise, and a loss."""
        return self.value < 0 and not self.within_noise


def variance(accuracy: float, images: int) -> float:
    """The squared standard error of an accuracy (a fraction) read on `images` images."""
    return accuracy * (1 - accuracy) / images


def half_width(accuracy: float, images: int) -> float:
    """Half the 95 % interval of an accuracy, a fraction."""
    return Z_95 * math.sqrt(variance(accuracy, images))


def gain(accuracy: float, reference: float, images: int) -> Gain:
    """How much better `accuracy` is than `reference`, each read on `images` images."""
    both = variance(accuracy, images) + variance(reference, images)
    return Gain(accuracy - reference, Z_95 * math.sqrt(both))


def gain_over(trial: Trial, reference: Trial | None, images: int) -> Gain | None:
    """The gain of one trial over another; None over itself or where an accuracy is missing."""
    if reference is None or trial.number == reference.number:
        return None
    if trial.val_accuracy is None or reference.val_accuracy is None:
        return None
    return gain(trial.val_accuracy, reference.val_accuracy, images)


def baseline_of(trials: Iterable[Trial]) -> Trial | None:
    """The fully trained baseline; None where there is none (yet)."""
    return next(iter(_complete(trials, Role.BASELINE)), None)


def controls_of(trials: Iterable[Trial]) -> list[Trial]:
    """The fully trained controls."""
    return _complete(trials, Role.CONTROL)


def _complete(trials: Iterable[Trial], role: Role) -> list[Trial]:
    return [t for t in trials if t.role is role and t.state is State.COMPLETE]
