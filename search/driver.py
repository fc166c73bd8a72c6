"""The driver: decides what is trained next and what becomes of it. Knows no executor.

An executor asks `next_task` for work, passes every answer of a worker to `answered` and the death
of a worker to `lost`; `search/runner.py` does so with Ray, tests do so in a loop.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from models import build
from models.architecture import Architecture
from models.errors import InputError, StorageError
from search import agenda
from search.afterwards import Afterwards, is_left
from search.checkpoints import CheckpointFolders
from search.events import Silent, Watcher
from search.latencies import Latencies
from search.ledger import Ledger, Proposal
from search.placements import placement_proposer
from search.proposer import Chosen, Proposer
from search.sampling.whole import EXHAUSTED, NothingLeftError, NothingNowError
from search.space import Space
from search.tasks import Assignment, NoTask, Tasks
from search.trial import Role, State, Trial
from search.verdict import Verdict, why_no_result
from trainers.config import BASELINE
from trainers.messages import (
    Answer,
    Built,
    Cause,
    EpochResult,
    Failed,
    Judged,
    Measured,
    Resumed,
    Saved,
)

MAX_INFEASIBLE_IN_A_ROW = 500
HALVES, BY_HALVES = 2, ", with half of each batch at a time"  # where memory was short
OUT_OF_TIME = "search.timeout_minutes are over"

ENDS_THE_SEARCH = {Cause.INPUT: InputError, Cause.STORAGE: StorageError}

ProposerMaker = Callable[[Space, Latencies, Ledger], Proposer[Architecture]]


class Driver:
    """One run of a search over one study.

    `weights`: the file that the baseline's weights are written to, where candidates inherit them;
    `checkpoints`: where trials keep what they are to go on from after an interruption.
    `make_proposer`: of what is sampled; another than the default may know fewer candidates.
    """

    def __init__(
        self,
        space: Space,
        ledger: Ledger,
        data_folder: Path,
        watcher: Watcher | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        weights: Path | None = None,
        checkpoints: CheckpointFolders | None = None,
        make_proposer: ProposerMaker = placement_proposer,
    ) -> None:
        self._space, self._ledger, self._checkpoints = space, ledger, checkpoints
        self._tasks = Tasks(ledger.study_id, space, data_folder, weights, checkpoints)
        self._start = ledger.start
        self._watcher: Watcher = watcher or Silent()
        self._clock, self._began = clock, clock()
        self._trials = {trial.number: trial for trial in ledger.trials()}
        file = space.file
        self._latencies = Latencies(
            file.latency, file.data.image_size, file.objectives.max_latency_ms
        )
        self._latencies.measured(self._trials.values())
        self._verdict = Verdict(space, self._latencies)
        self._proposer = make_proposer(space, self._latencies, ledger)
        self._running: set[int] = set()
        self._lost: set[int] = set()
        self._infeasible_in_a_row = 0
        self._gave_up: str | None = None
        self._nothing_now: NothingNowError | None = None
        self._origin_failed = False
        self._again = deque(n for n, t in self._trials.items() if t.state is State.RUNNING)
        if checkpoints is not None:
            checkpoints.remove_others(self._again)
        self._fixed = deque(agenda.fixed(space, self._held()))
        self._afterwards = Afterwards(space)

    @property
    def trials(self) -> list[Trial]:
        """All trials of the study by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    @property
    def done(self) -> bool:
        """Whether the study already holds the trials it is to hold."""
        if self._again or not self._has_its_trials():
            return False
        return not is_left(self._space, self.trials)

    def next_task(self) -> Assignment | NoTask:
        """The next candidate to train; it is in the ledger when this returns."""
        again = self._interrupted()
        if again is not None:
            return again
        if self._start is None and self._space.file.training.start == BASELINE:
            return self._origin()
        while not self._has_its_trials():
            reason = self._why_no_more()
            if reason is not None:
                return self._ended_early(NothingLeftError(reason))
            try:
                proposal = self._next_proposal()
            except NothingLeftError as nothing:
                return self._ended_early(nothing)
            number = self._enter(proposal)
            if self._trials[number].state is State.RUNNING:
                return self._assign(number)
        return self._next_afterwards()

    def _interrupted(self) -> Assignment | None:
        """A trial that an earlier run of the driver began."""
        for number in tuple(self._again):
            if self._out_of_time() and self._trials[number].role is not Role.FINALIST:
                continue
            self._again.remove(number)
            if self._start is not None and self._trials[number].role is Role.ORIGIN:
                self._ledger.complete(number)  # its weights are there, and others began with them
                self._refresh(number)
            elif self._is_to_go_on(number):
                self._ledger.restart(number)
                return self._assign(number)
        return None

    def _is_to_go_on(self, number: int) -> bool:
        """Judges it by its latency once more: the driver may have been killed while it did."""
        latency = self._trials[number].latency
        if latency is None:
            return True
        self._ledger.measured(number, latency)
        trial = self._refresh(number)
        return trial.has_all_epochs or self._within_budgets(trial)

    def _ended_early(self, reason: NothingLeftError) -> Assignment | NoTask:
        """Proposes no more; what comes after the candidates is still done."""
        if isinstance(reason, NothingNowError) and self._running:
            return NoTask.LATER
        self._give_up(str(reason))
        return self._next_afterwards()

    def _origin(self) -> Assignment | NoTask:
        """The training that all others wait for."""
        if self._running:
            return NoTask.LATER
        if self._origin_failed:
            return self._give_up("the baseline that all others start from could not be trained")
        if self._out_of_time():
            return self._give_up(OUT_OF_TIME)
        return self._assign(self._enter(Proposal(self._space.baseline, Role.ORIGIN)))

    def _next_afterwards(self) -> Assignment | NoTask:
        """A check or a finalist, once all candidates have ended."""
        if self._again:  # there was no time, and they may come to be on the front
            return self._give_up(OUT_OF_TIME)
        in_time = not self._out_of_time()
        proposal = self._afterwards.next(self.trials, busy=bool(self._running), in_time=in_time)
        return self._nothing() if proposal is None else self._assign(self._enter(proposal))

    def answered(self, number: int, answer: Answer) -> bool:
        """Takes in a worker's answer; whether the worker should go on with this trial.

        Raises InputError or StorageError for a `Failed` that every other trial would meet with as
        well; this one is then taken up again by the next run.
        """
        if number not in self._running:
            return False
        take_in: dict[type, Callable[[int, Any], bool]] = {
            Failed: self._fail,
            Built: self._built,
            Resumed: self._resumed,
            Measured: self._measured,
            Saved: self._saved,
            Judged: self._judged,
            EpochResult: self._epoch,
        }
        return take_in[type(answer)](number, answer)

    def lost(self, number: int, failed: Failed) -> None:
        """Takes in that the worker of a trial died: it is tried once more from its last epoch."""
        if number not in self._running:
            return
        if failed.cause is Cause.MEMORY:
            self._fail(number, failed)
        elif number in self._lost:
            self._fail(number, Failed(f"{failed.reason}; twice"))
        else:
            self._lost.add(number)
            self._once_more(number, failed.reason)

    def _once_more(self, number: int, reason: str, how: str = "") -> bool:
        self._running.discard(number)
        self._again.append(number)
        self._watcher.notice(f"trial {number} is tried once more{how}: {reason}")
        return False

    def _fail(self, number: int, failed: Failed) -> bool:
        if failed.cause in ENDS_THE_SEARCH:
            raise ENDS_THE_SEARCH[failed.cause](failed.reason)
        trial = self._trials[number]
        if trial.latency_predicted and trial.has_all_epochs:
            reason = f"its latency could not be measured: {failed.reason}"
            self._watcher.notice(f"trial {number}: {reason}")
            return self._complete(number, reason)  # it is trained, and its latency predicted
        if failed.cause is Cause.MEMORY:
            if trial.micro_batches == 1:
                self._ledger.in_micro_batches(number, HALVES)
                return self._once_more(number, failed.reason, BY_HALVES)
            failed = replace(failed, reason=failed.reason + BY_HALVES)
        self._origin_failed |= trial.role is Role.ORIGIN
        self._ledger.fail(number, failed)
        return self._end(number)

    def _built(self, number: int, answer: Built) -> bool:
        self._ledger.built(number, answer.worker)
        return True

    def _saved(self, number: int, answer: Saved) -> bool:
        self._start = answer.start
        self._ledger.note_start(answer.start)
        return self._complete(number)

    def _judged(self, number: int, answer: Judged) -> bool:
        self._ledger.judged(number, answer)
        return self._complete(number)

    def _measured(self, number: int, answer: Measured) -> bool:
        self._ledger.measured(number, answer.latency)
        trial = self._refresh(number)
        self._latencies.measured(self._trials.values())
        if trial.has_all_epochs:
            return self._complete(number)
        if self._within_budgets(trial):
            self._watcher.trial_advanced(trial)
        return number in self._running

    def _within_budgets(self, trial: Trial) -> bool:
        """Whether a measured trial is; a candidate that is not ends here."""
        if trial.role is not Role.CANDIDATE:
            return True
        self._infeasible_in_a_row = self._infeasible_in_a_row + 1 if trial.over_budget else 0
        if not trial.over_budget:
            return True
        self._ledger.infeasible(trial.number, dict(trial.over_budget))
        return self._end(trial.number)

    def _epoch(self, number: int, result: EpochResult) -> bool:
        curve = (*self._trials[number].curve[: result.epoch - 1], result)
        wrong = why_no_result(result, len(curve))
        if wrong is not None:
            return self._fail(number, Failed(wrong))
        self._ledger.epoch(number, curve)
        return self._advanced(number)

    def _resumed(self, number: int, answer: Resumed) -> bool:
        for each in answer.damaged:
            self._watcher.notice(f"trial {number}: a checkpoint is damaged and not used: {each}")
        self._ledger.epoch(number, answer.curve)
        self._refresh(number)
        # What is known is judged once more: the driver may have been killed before it was.
        return self._advanced(number) if answer.curve else True

    def _advanced(self, number: int) -> bool:
        """Whether a trial with one more epoch is to go on."""
        trial = self._refresh(number)
        self._watcher.trial_advanced(trial)
        if trial.has_all_epochs:
            return self._verdict.is_awaited(trial, self._trials.values()) or self._complete(number)
        reason = self._verdict.reason_to_stop(trial, self._trials.values())
        if reason is not None:
            self._ledger.stop(number, reason)
            return self._end(number)
        return True

    def _complete(self, number: int, reason: str = "") -> bool:
        self._ledger.complete(number, reason)
        return self._end(number)

    def _has_its_trials(self) -> bool:
        if self._fixed and not self._space.slots and self._space.file.search.trials is None:
            return False  # all that are listed, whatever else the study holds
        spent = sum(trial.counts for trial in self._trials.values())
        running = sum(self._trials[number].role.contends for number in self._running)
        return spent + running >= self._space.trials

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
            return OUT_OF_TIME
        if self._infeasible_in_a_row >= MAX_INFEASIBLE_IN_A_ROW:
            return f"{MAX_INFEASIBLE_IN_A_ROW} in a row were over budget"
        baselines = [t for t in self._trials.values() if t.role is Role.BASELINE and t.over_budget]
        if baselines and not self._fixed:  # every candidate contains it
            return f"the plain backbone alone is over {', '.join(dict(baselines[0].over_budget))}"
        return self._gave_up

    def _next_proposal(self) -> Proposal:
        """What is fixed, then what the sampler proposes. Raises NothingLeftError."""
        if self._fixed:
            return self._fixed.popleft()
        if not self._space.slots:
            raise NothingLeftError(EXHAUSTED)  # nothing is sampled beside listed candidates
        chosen = self._chosen()
        return Proposal(
            chosen.candidate,
            parameters=chosen.parameters,
            distributions=chosen.distributions,
            system_attributes=chosen.system_attributes,
        )

    def _chosen(self) -> Chosen[Architecture]:
        """What the sampler proposes; that there is nothing now is remembered until it changes."""
        if self._nothing_now is not None:
            raise self._nothing_now
        try:
            chosen = self._proposer.propose(self._ledger.for_sampler(), self._held())
            least, gain = self._space.file.search.min_gain, chosen.expected_gain
            if least is not None and gain is not None and gain < least:
                share = f"{100 * least:g} %"
                raise NothingNowError(f"none is expected to add {share} to the front's hypervolume")
        except NothingNowError as nothing:
            self._nothing_now = nothing
            raise
        return chosen

    def _held(self) -> set[Architecture]:
        """What has been tried."""
        return {t.architecture for t in self._trials.values() if t.role.contends}

    def _enter(self, proposal: Proposal) -> int:
        cost = build.cost(proposal.architecture, self._space.file.data.image_size)
        predicted = self._predicted_ms(proposal)
        epochs = self._space.file.recipe(proposal.role).epochs
        number = self._ledger.begin(proposal, cost, epochs, predicted)
        trial = self._refresh(number)
        if trial.state is State.INFEASIBLE:
            self._infeasible_in_a_row += 1
            self._watcher.trial_ended(trial)
        elif predicted is not None:
            self._infeasible_in_a_row = 0
        return number

    def _predicted_ms(self, proposal: Proposal) -> float | None:
        if proposal.role is not Role.CANDIDATE:
            return None  # what others are compared with is measured
        predicted = self._latencies.predict(proposal.architecture, self._ledger.reference_ms)
        if self._latencies.facts != self._ledger.facts("latency_model"):
            self._ledger.note("latency_model", self._latencies.facts)
        return predicted

    def _assign(self, number: int) -> Assignment:
        self._running.add(number)
        trial = self._refresh(number)
        self._watcher.trial_began(trial)
        return Assignment(number, self._tasks.of(trial, self._start))

    def _refresh(self, number: int) -> Trial:
        self._nothing_now = None
        self._trials[number] = self._ledger.trial(number)
        return self._trials[number]

    def _end(self, number: int) -> bool:
        self._running.discard(number)
        if self._checkpoints is not None:
            self._checkpoints.remove(number)
        self._watcher.trial_ended(self._refresh(number))
        return False
