"""The learning rate over a training, as a factor on the configured one."""

import math

from trainers.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """The learning rate of step `step` of `steps`, counted from 0; see `TrainingConfig.schedule`.

    `triangular` and `cosine` reach their peak after `warmup_fraction` of the steps and end at 0
    one step after the last.
    """
    return config.learning_rate * _factor(config, step / steps)


def _factor(config: TrainingConfig, progress: float) -> float:
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "step":
        return 0.1 ** sum(progress >= milestone for milestone in config.milestones)
    warmup = config.warmup_fraction
    if progress < warmup:
        return max(progress / warmup, 0.01)  # the very first step must not stand still
    falling = (progress - warmup) / (1 - warmup)
    if config.schedule == "triangular":
        return 1 - falling
    return (1 + math.cos(math.pi * falling)) / 2
