"""A learning curve read back from a file or a study: its numbers are numbers, whoever wrote it."""

import sys
from collections.abc import Mapping
from typing import Any

from trainers.messages import EpochResult

LARGEST = 1e18  # of any count or time; larger ones break what is computed with them


def read_curve(given: Any) -> tuple[EpochResult, ...]:
    """All epochs from the first on. Raises TypeError or ValueError where it is no such curve."""
    if not isinstance(given, list | tuple):
        raise TypeError(f"{given!r} is no learning curve")
    return tuple(read_epoch(number, each) for number, each in enumerate(given, 1))


def read_epoch(number: int, given: Mapping[str, Any]) -> EpochResult:
    """Epoch `number` of a curve. Raises TypeError or ValueError as `read_curve`."""
    epoch = EpochResult(**given)
    if count(epoch.epoch) != number or amount(epoch.val_accuracy) > 1:
        raise ValueError(f"no epoch {number} of a learning curve: {given}")
    for loss in (epoch.val_loss, epoch.train_loss):
        finite(loss)
    for time in (epoch.train_seconds, epoch.validation_seconds, epoch.images_per_second):
        amount(time)
    return epoch


def count(value: Any) -> int:
    """A whole number from 0, else TypeError or ValueError."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no count")
    return int(amount(value))


def amount(value: Any) -> float:
    """A number from 0, else ValueError."""
    if not 0 <= finite(value) <= LARGEST:
        raise ValueError(f"{value!r} is no number from 0")
    return value  # type: ignore[no-any-return]


def finite(value: Any) -> float:
    """A number that is one: neither a truth value nor NaN nor too large. Else ValueError."""
    if type(value) not in {int, float} or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{value!r} is no number")
    return value  # type: ignore[no-any-return]
