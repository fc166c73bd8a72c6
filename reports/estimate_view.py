"""The estimate before a search, in words."""

from collections.abc import Iterator

from reports.wording import number_of
from search.estimate import Estimate, Shortcut, Timeout, Work


def estimate_lines(estimate: Estimate) -> list[str]:
    """What the search will take and, where that is long, what would shorten it."""
    return list(_lines(estimate))


def no_estimate(reason: str) -> str:
    """That the estimate could not be made, and why."""
    return f"Estimate: could not be made: {reason}. The search begins all the same."


def _lines(estimate: Estimate) -> Iterator[str]:
    work = estimate.work
    trials = number_of(work.trials, "trial") + (" that are left" if work.begun else "")
    if work.begun and work.trials == 1:
        trials = "1 trial that is left"
    epochs = ("at most " if estimate.at_most else "") + number_of(work.epochs, "epoch")
    yield (
        f"Estimate: about {rough_duration(estimate.seconds)} for {trials} ({epochs} of "
        f"{number_of(work.train_images, 'image')} each) on {number_of(work.workers, 'worker')}, "
        f"from a few measured steps: {_rate(estimate.images_per_second)} images/s per worker"
    )
    if work.origins or work.checks:
        yield f"  {_from_scratch(work)}"
    if work.finalists:
        trainings = number_of(work.finalists, "training")
        yield (
            f"  In it, once the search is over: at most {trainings} of finalists and what they are "
            f"compared with, for {number_of(work.finalist_epochs, 'epoch')} each"
        )
    if work.on_gpu and work.workers > 1:
        yield "  One training alone was measured: others on the same GPU slow it down."
    if estimate.timeout is not None:
        yield f"  {_ends(estimate.timeout)}"
    if estimate.gpu_sized:
        each = rough_duration(estimate.trial_seconds)
        yield f"  This space is sized for a GPU: on a CPU core one trial takes about {each}."
    if estimate.shortcuts:
        yield f"  shorter: {' · '.join(map(_shortcut, estimate.shortcuts))}"


def _from_scratch(work: Work) -> str:
    parts = ["the baseline they start from"] * bool(work.origins)
    if work.checks:
        parts.append(f"{number_of(work.checks, 'candidate')} to check their order")
    return f"In it, trained from scratch for {number_of(work.scratch_epochs, 'epoch')}: " + (
        ", ".join(parts)
    )


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.0f}" if images_per_second >= 10 else f"{images_per_second:.2g}"


def _ends(timeout: Timeout) -> str:
    return (
        f"It will end after about {rough_duration(timeout.seconds)} with about "
        f"{number_of(timeout.trials, 'trial')}: none is begun after "
        f"search.timeout_minutes={timeout.minutes:g}."
    )


def _shortcut(shortcut: Shortcut) -> str:
    if shortcut.factor is None:
        return shortcut.option
    digits = 0 if shortcut.factor >= 2.95 else 1
    about = "~" if shortcut.rough else ""
    return f"{shortcut.option} (÷ {about}{shortcut.factor:.{digits}f})"


def rough_duration(seconds: float) -> str:
    """Seconds with two digits or so: `6 m 40 s`, `3 h 20 m`, `21 days`."""
    if seconds < 57.5:
        step = 1 if seconds < 10 else 5
        return f"{max(1, step * round(seconds / step))} s"
    if seconds < 3_570:
        return _two(seconds, 10, 60, "m", "s")
    if seconds < 35_700:
        return _two(seconds / 60, 10, 60, "h", "m")
    hours = round(seconds / 3_600)
    return f"{hours} hours" if hours < 48 else f"{round(seconds / 86_400):,} days"


def _two(value: float, step: int, size: int, large: str, small: str) -> str:
    """`value` in two units, rounded to `step` of the smaller, which is left out where it is 0."""
    whole, rest = divmod(step * round(value / step), size)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
