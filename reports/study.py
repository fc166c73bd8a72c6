"""`Study`: everything a report says, as values read once from the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from models.architecture import Slot
from reports.evidence import Difference, Final, differences, finals
from reports.facts import check_facts, read_slots
from reports.gains import baseline_of, controls_of
from search.database import storage_errors
from search.front import front
from search.ledger import Ledger
from search.study_place import StudyPlace
from search.trial import Role, State, Trial
from trainers.messages import Start

Facts = Mapping[str, Any]
SCRATCH = {Role.ORIGIN, Role.CHECK}


@dataclass(frozen=True)
class Study:
    """A study at one moment.

    `trials` are those that contend; `scratch` those that check warm starts: the training that the
    inherited weights come from, and candidates that were trained from scratch as well; `finalists`
    those that were trained to be judged by the test split.
    `space` is what all trials share, as the space file says it; `machine`, `data`, `search` and
    `latency_model` hold what the search noted and may lack any key. `start` are the weights that
    all trials inherit, `architectures` is how many the space holds, `slots` are the backbone's with
    the shapes [C, H, W] of their maps, in the order data pass them; none in studies from before
    these were noted. `folder` is the run's folder as it was given, `command` what the search was
    started with, `storage` the server's address where the study is not in the folder.
    """

    name: str
    objectives: tuple[str, ...]
    trials: tuple[Trial, ...]
    space: Facts
    scratch: tuple[Trial, ...] = ()
    finalists: tuple[Trial, ...] = ()
    machine: Facts = field(default_factory=dict)
    data: Facts = field(default_factory=dict)
    search: Facts = field(default_factory=dict)
    latency_model: Facts = field(default_factory=dict)
    start: Start | None = None
    source: str | None = None
    command: str | None = None
    architectures: int | None = None
    slots: Mapping[Slot, tuple[int, ...]] = field(default_factory=dict)
    folder: Path | None = None
    storage: str | None = None

    @classmethod
    def read(cls, run_folder: Path, place: StudyPlace | None = None) -> Self:
        """The study of a run's folder. Raises InputError or StorageError as `Ledger.read` does."""
        return cls.of(Ledger.read(run_folder, place), run_folder)

    @classmethod
    def of(cls, ledger: Ledger, run_folder: Path) -> Self:
        """The study in `ledger`, which lies in `run_folder`.

        Raises StorageError where what was noted is nothing that a search notes.
        """
        with storage_errors(run_folder):
            study = cls._of(ledger, run_folder)
            check_facts(study)
            return study

    @classmethod
    def _of(cls, ledger: Ledger, run_folder: Path) -> Self:
        source, command = ledger.facts("source"), ledger.facts("command")
        trials = ledger.trials()
        return cls(
            name=run_folder.resolve().name,
            objectives=ledger.objectives,
            trials=tuple(trial for trial in trials if trial.role.contends),
            scratch=tuple(trial for trial in trials if trial.role in SCRATCH),
            finalists=tuple(trial for trial in trials if trial.role is Role.FINALIST),
            space=ledger.space,
            machine=ledger.facts("machine") or {},
            data=ledger.facts("data") or {},
            search=ledger.facts("search") or {},
            latency_model=ledger.facts("latency_model") or {},
            start=ledger.start,
            source=None if source is None else str(source),
            command=None if command is None else str(command),
            architectures=ledger.facts("architectures"),
            slots=read_slots(ledger.facts("slots") or {}),
            folder=run_folder,
            storage=ledger.facts("storage"),
        )

    @property
    def data_title(self) -> str:
        """What people call the images: those of a folder by its name."""
        return str(self.data.get("title") or self.space["data"].get("name", "the data"))

    @property
    def validation_images(self) -> int:
        """How many images every validation accuracy was read on."""
        return int(self.space["data"]["validation_images"])

    @property
    def epochs(self) -> int | None:
        """Epochs of a trial's full training; None where there is no trial."""
        return next((trial.epochs for trial in self.trials), None)

    @property
    def seed(self) -> int | None:
        """The seed every trial was trained with."""
        seed: int | None = self.space.get("search", {}).get("seed")
        return seed

    @cached_property
    def front(self) -> list[Trial]:
        """The front over all objectives, by falling accuracy."""
        return front(self.trials, self.objectives)

    @cached_property
    def finals(self) -> list[Final]:
        """The finalists that were judged, a network each."""
        return finals(self.finalists, self.trials)

    @cached_property
    def differences(self) -> list[Difference]:
        """What the finalists gain over what they are compared with."""
        return differences(self.finals)

    @property
    def baseline(self) -> Trial | None:
        """The fully trained baseline, if there is one."""
        return baseline_of(self.trials)

    @property
    def controls(self) -> list[Trial]:
        """The fully trained controls."""
        return controls_of(self.trials)

    def in_state(self, state: State) -> list[Trial]:
        """The trials in one state, by number."""
        return [trial for trial in self.trials if trial.state is state]
