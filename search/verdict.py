"""What becomes of a trial after one more epoch, by what the others of its study have reached."""

from collections.abc import Collection
from dataclasses import asdict

from search.early_stopping import reason_to_stop
from search.front import may_be_on_front
from search.latencies import Latencies
from search.space import Space
from search.trial import Role, Trial
from trainers.curve import read_epoch
from trainers.messages import EpochResult


def why_no_result(result: EpochResult, epoch: int) -> str | None:
    """Why `result` is none that epoch `epoch` can have; None for a good one.

    With it in a study no search could read that any more.
    """
    if not result.judged:
        return f"the validation accuracy of epoch {result.epoch} is {result.val_accuracy}"
    try:
        read_epoch(epoch, asdict(result))
    except (TypeError, ValueError) as error:
        return f"epoch {result.epoch} has no such result: {error}"
    return None


class Verdict:
    """Judges trials of `space`; predicted latencies are taken as far off as is tolerated."""

    def __init__(self, space: Space, latencies: Latencies) -> None:
        self._space, self._latencies = space, latencies

    def reason_to_stop(self, trial: Trial, trials: Collection[Trial]) -> str | None:
        """Why its training is given up; None to go on."""
        if trial.role is not Role.CANDIDATE:
            return None  # what others are compared with is trained to the end
        rules = self._space.file.search.early_stopping
        # Whichever way predictions are off, within what is tolerated.
        at_best, worst = self._latencies.at_best(trial), self._latencies.at_worst
        contending = (other for other in trials if other.role.contends)
        others = [worst(other) for other in contending if other.number != trial.number]
        return reason_to_stop(at_best, others, rules, self._space.file.objectives.minimize)

    def is_awaited(self, trial: Trial, trials: Collection[Trial]) -> bool:
        """Whether a trained trial's worker has more to say: weights, a test, or a latency.

        The latency is measured of those that may be on the front and had it only predicted.
        """
        if trial.role in {Role.ORIGIN, Role.FINALIST}:
            return True
        if not trial.latency_predicted:
            return False
        at_best = self._latencies.at_best(trial)
        return may_be_on_front(at_best, trials, self._space.objective_names)
