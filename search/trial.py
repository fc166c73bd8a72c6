"""`Trial`: one architecture trained once, as the ledger holds it and the reports read it."""

import enum
from dataclasses import dataclass

from models.architecture import Architecture
from trainers.messages import EpochResult, Judged, Latency, Worker

FEW = 2  # placements that are listed one by one


class State(enum.StrEnum):
    """The life of a trial.

        RUNNING ──► COMPLETE    trained for all its epochs
           │  ╰───► STOPPED     training given up early: never on the front
           │  ╰───► FAILED      raised, diverged, or its worker died
           ╰──────► INFEASIBLE  over a budget: never trained

    A search that is interrupted leaves its trials RUNNING; the next one takes them up again under
    their numbers.
    """

    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self is not State.RUNNING

    @property
    def trained(self) -> bool:
        """Whether training time was spent."""
        return self in {State.COMPLETE, State.STOPPED, State.FAILED}


class Role(enum.StrEnum):
    """Why a trial is in the study: proposed by the sampler, or there to be compared with.

    Where candidates inherit the baseline's weights, the ORIGIN is the training these come from,
    and a CHECK a candidate that is trained from scratch as well. A FINALIST is one of the trainings
    by which the search's answer is judged (`search.finalists`).
    """

    CANDIDATE = "candidate"
    BASELINE = "baseline"
    CONTROL = "control"
    ORIGIN = "origin"
    CHECK = "check"
    FINALIST = "finalist"

    @property
    def contends(self) -> bool:
        """Whether its trials count and may be on the front: those trained by the study's recipe."""
        return self in {Role.CANDIDATE, Role.BASELINE, Role.CONTROL}


@dataclass(frozen=True)
class Trial:
    """One row of the ledger; costs are known from the start, the rest as it comes.

    `name` is what a space file calls a candidate that it lists, else empty. `epochs` are those of
    its full training.
    `params` are trained parameters, `summary_params` includes batch-norm statistics, as
    `paddle.summary` counts. `latency_ms` is measured where there is a `latency`, else predicted
    (`search.latency_model`), and None where neither is; `predicted_ms` is kept when it is measured
    after all. `over_budget` maps each budget that is exceeded to value ÷ budget. `micro_batches`:
    in how many parts its batches were computed, more than one where memory was short.
    Of a finalist, `seed` is that of its training (all others have the study's), `of` the number of
    the trial it is trained for, `judged` what the test split says.
    """

    number: int
    state: State
    role: Role
    architecture: Architecture
    params: int
    summary_params: int
    macs: int
    latency_ms: float | None
    latency: Latency | None
    worker: Worker | None
    curve: tuple[EpochResult, ...]
    reason: str
    over_budget: tuple[tuple[str, float], ...]
    epochs: int
    name: str = ""
    predicted_ms: float | None = None
    micro_batches: int = 1
    seed: int | None = None
    of: int | None = None
    judged: Judged | None = None

    @property
    def architecture_id(self) -> str:
        """See `Architecture.architecture_id`."""
        return self.architecture.architecture_id

    @property
    def title(self) -> str:
        """Name and placements, for people; a named candidate's many placements are only counted."""
        placements = self.architecture.placements
        if not self.name or len(placements) <= FEW:
            return f"{self.name}: {self.architecture.describe()}".removeprefix(": ")
        blocks = ", ".join(dict.fromkeys(str(placement.block) for placement in placements))
        return f"{self.name}: {blocks} in {len(placements)} slots"

    @property
    def val_accuracy(self) -> float | None:
        """Validation accuracy after the last epoch done, a fraction; None before the first."""
        return self.curve[-1].val_accuracy if self.curve else None

    @property
    def latency_predicted(self) -> bool:
        """Whether `latency_ms` comes from the predictor."""
        return self.latency_ms is not None and self.latency is None

    @property
    def train_seconds(self) -> float:
        """Seconds spent training, validation left out."""
        return sum(epoch.train_seconds for epoch in self.curve)

    @property
    def images_per_second(self) -> float | None:
        """Training images per second of this worker, over all epochs done."""
        images = sum(epoch.images_per_second * epoch.train_seconds for epoch in self.curve)
        return images / self.train_seconds if self.train_seconds else None

    @property
    def counts(self) -> bool:
        """Whether it counts towards `search.trials`."""
        return self.state.trained and self.role.contends

    @property
    def eligible(self) -> bool:
        """Whether the trial may be on the front: fully trained and within every budget."""
        return self.state is State.COMPLETE and not self.over_budget and self.role.contends

    @property
    def has_all_epochs(self) -> bool:
        """Whether it was trained to the end, whatever is left to be done."""
        return len(self.curve) >= self.epochs

    def objective(self, name: str) -> float | None:
        """The value of an objective by its name in a space file; None where it is not known."""
        value: float | None = {
            "val_accuracy": self.val_accuracy,
            "params": self.params,
            "macs": self.macs,
            "latency_ms": self.latency_ms,
        }[name]
        return value
