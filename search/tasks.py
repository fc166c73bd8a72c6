"""What a worker is told of a trial."""

import enum
from dataclasses import dataclass
from pathlib import Path

from search.checkpoints import CheckpointFolders
from search.space import Space
from search.trial import Role, Trial
from trainers.config import BASELINE, SCRATCH
from trainers.messages import Start, Task


class NoTask(enum.Enum):
    """Why there is no task."""

    LATER = "nothing to do before a running trial ends"
    NEVER = "the search is done"


@dataclass(frozen=True)
class Assignment:
    """A task and the number of the trial it belongs to."""

    number: int
    task: Task


@dataclass(frozen=True)
class Tasks:
    """Tasks of the study with this id; the paths are those of `search.driver.Driver`."""

    study: str
    space: Space
    data_folder: Path
    weights: Path | None
    checkpoints: CheckpointFolders | None

    def of(self, trial: Trial, start: Start | None) -> Task:
        """That of `trial`, which inherits from `start` where it contends."""
        file, origin = self.space.file, trial.role is Role.ORIGIN
        final = trial.role is Role.FINALIST
        return Task(
            architecture=trial.architecture,
            data=file.data,
            data_folder=str(self.data_folder),
            training=file.recipe(trial.role),
            seed=file.search.seed if trial.seed is None else trial.seed,
            device="gpu" if file.search.gpus_per_trial else "cpu",
            latency=file.latency,
            measure_first=trial.latency_ms is None and trial.role.contends,
            start=start if trial.role.contends or (final and self._given) else None,
            save_to=str(self.weights) if origin and self.weights else None,
            checkpoints=str(self.checkpoints.of(trial.number)) if self.checkpoints else None,
            micro_batches=trial.micro_batches,
            study=self.study,
            final=final,
        )

    @property
    def _given(self) -> bool:
        """Whether the weights that candidates begin with are not made in this study."""
        return self.space.file.training.start not in {SCRATCH, BASELINE}
