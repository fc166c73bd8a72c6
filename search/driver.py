"""The driver: decides what is trained next and what becomes of it. Knows no executor.

An executor asks `next_task` for work, passes every answer of a worker to `answered` and the death
of a worker to `lost`; `search/runner.py` does so with Ray, tests do so in a loop.
"""

import enum
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models import build
from search.early_stopping import reason_to_stop
from search.events import Silent, Watcher
from search.ledger import Ledger, Proposal
from search.proposer import Proposer
from search.space import Space
from search.trial import Role, State, Trial
from trainers.messages import Answer, EpochResult, Failed, Measured, Task

MAX_INFEASIBLE_IN_A_ROW = 500


class NoTask(enum.Enum):
    """Why there is no task."""

    LATER = "nothing to do before a running trial ends"
    NEVER = "the search is done"


@dataclass(frozen=True)
class Assignment:
    """A task and the number of the trial it belongs to."""

    number: int
    task: Task


class Driver:
    """One run of a search over one study."""

    def __init__(
        self,
        space: Space,
        ledger: Ledger,
        data_folder: Path,
        watcher: Watcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._space, self._ledger, self._data_folder = space, ledger, data_folder
        self._watcher: Watcher = watcher or Silent()
        self._clock, self._began = clock, clock()
        self._proposer = Proposer(space, ledger)
        self._trials = {trial.number: trial for trial in ledger.trials()}
        self._running: set[int] = set()
        self._infeasible_in_a_row = 0
        self._gave_up: str | None = None
        held = {trial.architecture_id for trial in self._trials.values()}
        self._again = deque(n for n, t in self._trials.items() if t.state is State.RUNNING)
        self._fixed = deque(
            proposal
            for proposal in _fixed_proposals(space)
            if proposal.architecture.architecture_id not in held
        )

    @property
    def trials(self) -> list[Trial]:
        """All trials of the study by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    @property
    def done(self) -> bool:
        """Whether the study already holds the trials it is to hold."""
        return not self._again and self._has_its_trials()

    def next_task(self) -> Assignment | NoTask:
        """The next candidate to train; it is in the ledger when this returns."""
        if self._again and not self._out_of_time():
            number = self._again.popleft()
            self._ledger.restart(number)
            return self._assign(number)
        while not self._has_its_trials():
            reason = self._why_no_more()
            if reason is not None:
                return self._give_up(reason)
            proposal = self._next_proposal()
            if proposal is None:
                return self._give_up("the space holds no other architecture")
            number = self._enter(proposal)
            if self._trials[number].state is State.RUNNING:
                return self._assign(number)
        return self._nothing()

    def answered(self, number: int, answer: Answer) -> bool:
        """Takes in a worker's answer; whether the worker should go on with this trial."""
        if number not in self._running:
            return False
        if isinstance(answer, Failed):
            return self._fail(number, answer)
        if isinstance(answer, Measured):
            self._ledger.measured(number, answer)
            return self._feasible(number)
        if not math.isfinite(answer.val_accuracy):
            return self._fail(number, Failed(_no_number(answer)))
        return self._epoch(number, answer)

    def lost(self, number: int, reason: str) -> None:
        """Takes in that the worker of a trial died."""
        if number in self._running:
            self._fail(number, Failed(reason))

    def _fail(self, number: int, failed: Failed) -> bool:
        self._ledger.fail(number, failed)
        return self._end(number)

    def _feasible(self, number: int) -> bool:
        trial = self._refresh(number)
        if trial.over_budget and trial.role is Role.CANDIDATE:
            self._infeasible_in_a_row += 1
            self._ledger.infeasible(number, dict(trial.over_budget))
            return self._end(number)
        if trial.role is Role.CANDIDATE:
            self._infeasible_in_a_row = 0
        self._watcher.trial_advanced(trial)
        return True

    def _epoch(self, number: int, result: EpochResult) -> bool:
        curve = (*self._trials[number].curve, result)
        self._ledger.epoch(number, curve)
        trial = self._refresh(number)
        self._watcher.trial_advanced(trial)
        if len(curve) >= self._space.file.training.epochs:
            self._ledger.complete(number)
            return self._end(number)
        reason = self._reason_to_stop(trial)
        if reason is not None:
            self._ledger.stop(number, reason)
            return self._end(number)
        return True

    def _reason_to_stop(self, trial: Trial) -> str | None:
        if trial.role is not Role.CANDIDATE:
            return None  # what others are compared with is trained to the end
        rules = self._space.file.training.early_stopping
        return reason_to_stop(
            trial, self._trials.values(), rules, self._space.file.objectives.minimize
        )

    def _has_its_trials(self) -> bool:
        if self._fixed and not self._space.slots and self._space.file.search.trials is None:
            return False  # all that are listed, whatever else the study holds
        spent = sum(trial.state.trained for trial in self._trials.values())
        return spent + len(self._running) >= self._space.trials

    def _out_of_time(self) -> bool:
        minutes = self._space.file.search.timeout_minutes
        return minutes is not None and self._clock() - self._began >= 60 * minutes

    def _give_up(self, reason: str) -> NoTask:
        """Proposes no more in this run, and says so once."""
        if self._gave_up is None:
            self._gave_up = reason
            self._watcher.notice(f"no more candidates are begun: {reason}")
        return self._nothing()

    def _nothing(self) -> NoTask:
        return NoTask.LATER if self._running else NoTask.NEVER

    def _why_no_more(self) -> str | None:
        """Why no candidate is begun though the study is short of trials; None to go on."""
        if self._out_of_time():
            return "search.timeout_minutes are over"
        if self._infeasible_in_a_row >= MAX_INFEASIBLE_IN_A_ROW:
            return f"{MAX_INFEASIBLE_IN_A_ROW} in a row were over budget"
        baselines = [t for t in self._trials.values() if t.role is Role.BASELINE and t.over_budget]
        if baselines and not self._fixed:  # every candidate contains it
            return f"the plain backbone alone is over {', '.join(dict(baselines[0].over_budget))}"
        return self._gave_up

    def _next_proposal(self) -> Proposal | None:
        if self._fixed:
            return self._fixed.popleft()
        return self._proposer.propose({t.architecture_id for t in self._trials.values()})

    def _enter(self, proposal: Proposal) -> int:
        image_size = self._space.file.data.image_size
        number = self._ledger.begin(proposal, build.cost(proposal.architecture, image_size))
        self._proposer.entered(self._ledger, number)
        trial = self._refresh(number)
        if trial.state is State.INFEASIBLE:
            self._infeasible_in_a_row += 1
            self._watcher.trial_ended(trial)
        return number

    def _assign(self, number: int) -> Assignment:
        self._running.add(number)
        trial = self._refresh(number)
        self._watcher.trial_began(trial)
        file = self._space.file
        task = Task(
            architecture=trial.architecture,
            data=file.data,
            data_folder=str(self._data_folder),
            training=file.training,
            seed=file.search.seed,
            device="gpu" if file.search.gpus_per_trial else "cpu",
        )
        return Assignment(number, task)

    def _refresh(self, number: int) -> Trial:
        self._trials[number] = self._ledger.trial(number)
        return self._trials[number]

    def _end(self, number: int) -> bool:
        self._running.discard(number)
        self._proposer.ended(self._ledger, number)
        self._watcher.trial_ended(self._refresh(number))
        return False


def _no_number(result: EpochResult) -> str:
    return f"the validation accuracy of epoch {result.epoch} is {result.val_accuracy}"


def _fixed_proposals(space: Space) -> list[Proposal]:
    """What is tried before the sampler is asked: backbone, residual control, listed candidates."""
    roles = {space.baseline: Role.BASELINE, space.control: Role.CONTROL}
    names = {architecture: name for name, architecture in space.candidates.items()}
    return [
        Proposal(architecture, roles.get(architecture, Role.CANDIDATE), names.get(architecture, ""))
        for architecture in space.fixed
    ]
