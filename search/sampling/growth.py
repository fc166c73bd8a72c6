"""When something is fitted anew as a study grows: by what the study holds, not by when it began."""


def last_step(many: int, first: int, factor: float) -> int:
    """The largest number up to `many` of: `first`, and each time the next `factor` times as many.

    At least one more each time; `many` itself where it is less than `first`.
    """
    step = min(first, many)
    while (following := max(step + 1, round(factor * step))) <= many:
        step = following
    return step
