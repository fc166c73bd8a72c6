"""What a search will take on this machine, before it begins: arithmetic over a few measured steps.

Pure: `trainers/step_processes.py` measures, `reports/estimate_view.py` puts it into words.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import optuna

from models import build
from models.architecture import Architecture, Backbone
from models.errors import InputError
from search import agenda, finalists
from search.candidates import choose
from search.space import Space
from search.space_file import SearchConfig
from search.trial import Role, State, Trial
from trainers.config import BASELINE, SCRATCH
from trainers.messages import Task
from trainers.step_processes import StepTime

MOST_PROCESSES = 4
DRAWN = 20
START_SECONDS = 8.0  # Ray, and the workers' imports
DAY, HOUR = 86_400.0, 3_600.0
LONG_SECONDS = 900.0  # a wait that is worth a word on what shortens it
WORTH_IT = 1.2  # an option that shortens it by less is not named

# What options are set to that make a search shorter.
FEW_IMAGES, FEW_EPOCHS, NARROW, FEW_TRIALS, FEW_MINUTES = 5_000, 10, 0.25, 30, 60
WIDTH_POWER = 0.75
"""Of the ratio of MACs: narrow networks make less of a core than wide ones."""


@dataclass(frozen=True)
class Work:
    """What is left to be done, as far as time depends on it.

    `epochs` are a trial's; `scratch_epochs` those of a training from scratch where trials inherit
    weights, of which `origins` is done before all others and `checks` are done after them; at most
    `finalists` of `finalist_epochs` come last.
    `begun`: the study holds trials already. `workers` trainings run at a time, on `cores` cores if
    it is not on GPUs.
    """

    trials: int
    epochs: int
    train_images: int
    validation_images: int
    workers: int
    cores: int
    on_gpu: bool = False
    begun: bool = False
    scratch_epochs: int = 0
    origins: int = 0
    checks: int = 0
    finalists: int = 0
    finalist_epochs: int = 0

    @property
    def at_a_time(self) -> int:
        """Trainings at a time that do not slow each other down."""
        most = min(self.workers, max(1, self.trials, self.checks, self.finalists))
        return most if self.on_gpu else min(most, self.cores)


@dataclass(frozen=True)
class Shortcut:
    """An option that makes the search shorter: `factor` times, or not known by how much (None).

    `rough`: the factor is by rule of thumb.
    """

    option: str
    factor: float | None = None
    rough: bool = False


@dataclass(frozen=True)
class Timeout:
    """`search.timeout_minutes` ends the search after so many seconds, with so many more trials."""

    minutes: float
    seconds: float
    trials: int


@dataclass(frozen=True)
class Estimate:
    """How long `work` takes: `seconds` in all, `trial_seconds` for each trial of a worker.

    `images_per_second` are training images of one worker. `at_most`: trainings may be given up
    early. `timeout` is None where the search is done before. `gpu_sized`: days, on a CPU.
    """

    work: Work
    seconds: float
    trial_seconds: float
    images_per_second: float
    at_most: bool
    timeout: Timeout | None
    gpu_sized: bool
    shortcuts: tuple[Shortcut, ...]


def trials_left(space: Space, trials: Sequence[Trial], architectures: int) -> int:
    """How many trials are still to be trained; `architectures` is how many the space holds."""
    trials = [trial for trial in trials if trial.role.contends]
    again = sum(trial.state is State.RUNNING for trial in trials)
    wanted = space.trials - sum(trial.counts for trial in trials)
    held = {trial.architecture for trial in trials}
    if space.slots:
        return max(again, min(wanted, architectures - len(held) + again))
    new = sum(architecture not in held for architecture in space.fixed)
    if space.file.search.trials is None:
        return again + new
    return max(again, min(wanted, again + new))


def work_left(space: Space, trials: Sequence[Trial], left: int, train_images: int) -> Work:
    """What `left` trials of a study are, and what else it trains; without workers and cores."""
    file, training = space.file, space.file.training
    begins = training.start == BASELINE and not any(
        trial.role is Role.ORIGIN and trial.state is State.COMPLETE for trial in trials
    )
    return Work(
        trials=left,
        epochs=training.inheriting.epochs,
        train_images=train_images,
        validation_images=file.data.judges,
        workers=1,
        cores=1,
        on_gpu=file.search.gpus_per_trial > 0,
        begun=bool(trials),
        scratch_epochs=training.epochs,
        origins=int(begins),
        checks=_checks_left(space, trials, left),
        finalists=_finalists_left(space, trials, left),
        finalist_epochs=finalists.epochs(space),
    )


def _finalists_left(space: Space, trials: Sequence[Trial], left: int) -> int:
    """How many trainings there will be at most once `left` trials more are trained."""
    again = sum(t.role is Role.FINALIST and t.state is State.RUNNING for t in trials)
    if not left:
        return again + len(finalists.missing(space, trials))
    return finalists.most(space.file.finalists)


def _checks_left(space: Space, trials: Sequence[Trial], left: int) -> int:
    """How many trainings from scratch will be made once `left` trials more are trained."""
    again = sum(t.role is Role.CHECK and t.state is State.RUNNING for t in trials)
    if not left:
        return again + len(agenda.checks(space, trials))
    if not space.file.training.inherits:
        return 0
    ended = sum(t.role is Role.CHECK for t in trials) - again
    return max(0, min(space.file.training.warm.checks, space.trials - 1) - ended)


def process_count(search: SearchConfig, cores: int) -> int:
    """How many processes measure side by side: cores share their way to the memory."""
    return 1 if search.gpus_per_trial else min(search.workers or cores, cores, MOST_PROCESSES)


def measured_tasks(space: Space, data_folder: Path) -> list[Task]:
    """The trainings whose steps are measured: the plain backbone and a candidate of median MACs."""
    file = space.file
    device = "gpu" if file.search.gpus_per_trial else "cpu"
    return [
        Task(
            architecture,
            file.data,
            str(data_folder),
            file.training,
            file.latency,
            file.search.seed,
            device,
        )
        for architecture in (space.baseline, median_candidate(space))
    ]


def median_candidate(space: Space) -> Architecture:
    """The one of median MACs among the listed candidates and some drawn ones, in the budget."""
    some = {*space.candidates.values(), *_drawn(space)} - {space.baseline} or {space.control}
    costs = {each: build.cost(each, space.file.data.image_size) for each in some}
    budget = space.file.objectives.max_params or math.inf
    allowed = [each for each in some if costs[each].params <= budget] or list(some)
    allowed.sort(key=lambda each: (costs[each].macs, each.architecture_id))
    return allowed[len(allowed) // 2]


def _drawn(space: Space) -> list[Architecture]:
    if not space.slots:
        return []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(space.file.search.seed))
    return [choose(space, study.ask()) for _ in range(DRAWN)]


def mean_cost(measured: Iterable[Iterable[StepTime]]) -> StepTime:
    """The mean over processes and networks."""
    times = [time for of_process in measured for time in of_process]
    return StepTime(
        train_seconds=fmean(time.train_seconds for time in times),
        validation_seconds=fmean(time.validation_seconds for time in times),
        setup_seconds=fmean(time.setup_seconds for time in times),
        latency_seconds=fmean(time.latency_seconds for time in times),
    )


def trial_seconds(work: Work, cost: StepTime) -> float:
    """One trial from build to last epoch; while one measures its latency the others wait."""
    measuring = work.at_a_time * cost.latency_seconds
    return cost.setup_seconds + measuring + work.epochs * epoch_seconds(work, cost)


def epoch_seconds(work: Work, cost: StepTime) -> float:
    """One epoch of a training, validated."""
    judging = work.validation_images * cost.validation_seconds
    return work.train_images * cost.train_seconds + judging


def total_seconds(work: Work, cost: StepTime) -> float:
    """All trials, `work.at_a_time` of them side by side, and the start."""
    rounds = math.ceil(work.trials / work.at_a_time)
    checks = math.ceil(work.checks / work.at_a_time) * work.scratch_epochs
    checking = checks * epoch_seconds(work, cost)
    before = _before_trials(work, cost)
    return before + rounds * trial_seconds(work, cost) + checking + final_seconds(work, cost)


def final_seconds(work: Work, cost: StepTime) -> float:
    """The finalists' trainings, without their tests."""
    rounds = math.ceil(work.finalists / work.at_a_time)
    each = cost.setup_seconds + work.finalist_epochs * epoch_seconds(work, cost)
    return rounds * each


def _before_trials(work: Work, cost: StepTime) -> float:
    """The start, and the training that all others wait for."""
    return START_SECONDS + work.origins * work.scratch_epochs * epoch_seconds(work, cost)


def estimate(space: Space, work: Work, cost: StepTime) -> Estimate:
    """What `work` takes at `cost`, and what would shorten it."""
    seconds, each = total_seconds(work, cost), trial_seconds(work, cost)
    before = _before_trials(work, cost)
    spent = (before, each, final_seconds(work, cost))
    timeout = _timeout(space.file.search.timeout_minutes, work, seconds, spent)
    wait = timeout.seconds if timeout else seconds
    gpu_sized = not work.on_gpu and seconds >= DAY and each >= HOUR
    rules, epochs = space.file.search.early_stopping, work.epochs
    stops = rules.rule != "none"
    shortcuts = shorter(space, work, cost) if wait >= LONG_SECONDS else ()
    return Estimate(
        work=work,
        seconds=seconds,
        trial_seconds=each,
        images_per_second=1 / cost.train_seconds,
        at_most=stops and rules.grace_epochs < epochs,
        timeout=timeout,
        gpu_sized=gpu_sized,
        shortcuts=shortcuts,
    )


def _timeout(
    minutes: float | None, work: Work, seconds: float, spent: tuple[float, float, float]
) -> Timeout | None:
    """No trial is begun after the timeout, but those that run are trained to their ends.

    `spent`: seconds before the first trial, of each, and of the finalists, which come after it.
    """
    before, each, after = spent
    if minutes is None:
        return None
    rounds = math.floor(max(0.0, 60 * minutes - before) / each) + 1
    trials = rounds * work.at_a_time
    if trials >= work.trials:
        return None
    return Timeout(minutes, min(seconds, before + rounds * each + after), trials)


def shorter(space: Space, work: Work, cost: StepTime) -> tuple[Shortcut, ...]:
    """The options that shorten the search, the most effective first, those without a number last.

    What all trials of a study share is left alone where the study holds some.
    """
    now = total_seconds(work, cost)
    counted = [
        Shortcut(option, now / total_seconds(changed, changed_cost), rough)
        for option, changed, changed_cost, rough in _changes(space, work, cost)
    ]
    worth = [each for each in counted if each.factor is not None and each.factor >= WORTH_IT]
    worth.sort(key=lambda each: -(each.factor or 0.0))
    return (*worth, *_others(space, work, cost))


def _changes(
    space: Space, work: Work, cost: StepTime
) -> Iterable[tuple[str, Work, StepTime, bool]]:
    """Each option with the work and the cost it leaves, and whether that is a rule of thumb."""
    file = space.file
    if not work.begun:
        if work.train_images > FEW_IMAGES >= file.training.batch_size:
            few = replace(work, train_images=FEW_IMAGES)
            yield f"-o data.train_images={FEW_IMAGES}", few, cost, False
        if work.epochs > FEW_EPOCHS and not file.training.inherits:
            yield f"-o training.epochs={FEW_EPOCHS}", replace(work, epochs=FEW_EPOCHS), cost, False
        given = file.training.start not in {SCRATCH, BASELINE}  # weights of this width
        if file.backbone.width > NARROW and not given and _fits(space, NARROW):
            yield f"-o backbone.width={NARROW:g}", work, _narrower(space, cost), True
    fewer = FEW_TRIALS - (space.trials - work.trials)
    if space.slots and len(space.fixed) <= FEW_TRIALS and 0 < fewer < work.trials:
        yield f"-o search.trials={FEW_TRIALS}", replace(work, trials=fewer), cost, False
    if work.finalists:
        yield "--finalists 0", replace(work, finalists=0), cost, False
    if not work.on_gpu and work.workers < min(work.cores, work.trials):
        yield f"-o search.workers={work.cores}", replace(work, workers=work.cores), cost, True


def _others(space: Space, work: Work, cost: StepTime) -> Iterable[Shortcut]:
    if not work.on_gpu and total_seconds(work, cost) >= DAY:
        yield Shortcut("--gpus-per-trial 0.5 on a machine with a GPU")
    hour = 60 * FEW_MINUTES
    # A trial that is begun is trained to its end: an hour is no hour where trials take one.
    ends = trial_seconds(work, cost) <= hour / 2 and total_seconds(work, cost) > hour * WORTH_IT
    if ends and (space.file.search.timeout_minutes or math.inf) > FEW_MINUTES:
        yield Shortcut(f"-o search.timeout_minutes={FEW_MINUTES} ends it after about an hour")


def _narrow(space: Space, width: float) -> Backbone:
    return space.file.backbone.model_copy(update={"width": width})


def _fits(space: Space, width: float) -> bool:
    """Whether all that may be placed can still be in a backbone of this width."""
    size = space.file.data.image_size
    narrow = _narrow(space, width)
    planned = build.plan(Architecture(narrow), size)
    refused = any(
        slot not in planned.slots or build.refuse_at(slot, block, planned) is not None
        for slot, at_slot in space.choices_at.items()
        for choices in at_slot
        for block in choices.variants()
    )
    try:
        for listed in (space.control, *space.candidates.values()):
            build.check(Architecture(narrow, listed.placements), size)
    except InputError:
        return False
    return not refused


def _narrower(space: Space, cost: StepTime) -> StepTime:
    """What `cost` may be at the width `NARROW`, by MACs."""
    size = space.file.data.image_size
    macs = build.plan(space.baseline, size).cost.macs
    narrow = build.plan(Architecture(_narrow(space, NARROW)), size).cost.macs
    share = (narrow / macs) ** WIDTH_POWER
    return replace(
        cost,
        train_seconds=share * cost.train_seconds,
        validation_seconds=share * cost.validation_seconds,
    )
