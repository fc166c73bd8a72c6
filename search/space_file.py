"""Space files as they are written: typed sections, before any slot or block is looked up."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from models.architecture import Backbone
from models.sections import Section
from models.written import Candidates, Word
from models.yaml_input import Document, override, read_yaml, validate
from search.trial import Role
from trainers.config import (
    BASELINE,
    PADDLE,
    SCRATCH,
    DataConfig,
    LatencyConfig,
    PositiveInt,
    TrainingConfig,
)

Count = Annotated[int, Field(ge=1, le=1000)]
OptionRanges = Annotated[
    dict[str, Any], BeforeValidator(lambda given: {} if given is None else given)
]
Objective = Literal["params", "latency_ms", "macs"]
SamplerName = Literal["ehvi", "tpe", "nsga2", "nsga3", "random", "grid"]
Numbers = Annotated[
    Annotated[tuple[Count, ...], Field(strict=False, min_length=1), Tag("numbers")]
    | Annotated[Word, Tag("word")],
    Discriminator(lambda given: "word" if isinstance(given, str) else "numbers"),
]


def _gpu_share(value: float) -> float:
    if value > 1 and value != int(value):
        raise ValueError("must be a part of one GPU, or whole GPUs")
    return value


class PlacementRules(Section):
    """Where blocks may sit and which ones.

    Slots are all combinations of `stages`, `blocks` (residual blocks, counted from 1 in their
    stage) and `positions`; None takes all. Stages and blocks are lists of numbers, or a word of
    `models.shorthand`. A candidate has one to `at_most` placements; None allows two, or one where
    there is one slot.
    `attention` names the block types, each with the values its options may take.
    """

    stages: Numbers | None = None
    blocks: Numbers | None = None
    positions: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    at_most: Count | None = None
    attention: Annotated[dict[str, OptionRanges], Field(min_length=1)]


class Objectives(Section):
    """What candidates are judged by, beside `val_accuracy`: `minimize`, and hard budgets."""

    minimize: Annotated[tuple[Objective, ...], Field(strict=False, min_length=1)] = (
        "params",
        "latency_ms",
    )
    max_params: PositiveInt | None = None
    max_latency_ms: Annotated[float, Field(gt=0, le=1e9)] | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.minimize)) < len(self.minimize):
            raise ValueError("an objective is named twice in minimize")
        return self


class EarlyStopping(Section):
    """When a candidate's training is given up; the baseline and the controls never are.

    `rule`: `curve`, once its learning curve is as bad as those of candidates that reach the front
    hardly ever are: of these at most the part `risk` is given up. `halving`: at the epochs
    `grace_epochs` times powers of `reduction` the best in `reduction` go on; `patience`: after so
    many epochs without an improvement of at least `min_improvement` of the validation accuracy (a
    fraction). None acts before `grace_epochs` epochs are done.
    """

    rule: Literal["curve", "halving", "patience", "none"] = "curve"
    risk: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    reduction: Annotated[int, Field(ge=2, le=100)] = 3
    patience: PositiveInt = 5
    min_improvement: Annotated[float, Field(ge=0, lt=1)] = 0.001
    grace_epochs: PositiveInt = 1

    @property
    def effective(self) -> dict[str, Any]:
        """The rule, and the options that have an effect with it."""
        keys = {
            "curve": ("risk", "grace_epochs"),
            "halving": ("reduction", "grace_epochs"),
            "patience": ("patience", "min_improvement", "grace_epochs"),
            "none": (),
        }[self.rule]
        return {"rule": self.rule, **{key: getattr(self, key) for key in keys}}

    @model_validator(mode="after")
    def _no_others(self) -> Self:
        for key in sorted(self.model_fields_set - self.effective.keys()):
            raise ValueError(f"{key} has no effect with the rule {self.rule}")
        return self


def _rule_alone(given: object) -> object:
    return {"rule": given} if isinstance(given, str) else given


class SearchConfig(Section):
    """How the space is searched.

    `sampler`: see `search.samplers`. `min_gain`: no candidate is begun once none is expected to add
    this part to the hypervolume of the front; None goes on.
    `trials`: how many candidates are trained in all, baseline and control among them; None takes
    50 or, in a space without `placement`, all there are.
    `workers`: trainings at a time; None takes one for each CPU core, or what the GPUs hold.
    `gpus_per_trial`: share of a GPU for each training, 0 for the CPU.
    `timeout_minutes`: no training is begun after this time; None for no limit.
    `control_slot`: where the residual control sits; None takes the last allowed slot or,
    in a space without `placement`, the backbone's last.
    """

    sampler: SamplerName = "ehvi"
    min_gain: Annotated[float, Field(gt=0, lt=1)] | None = None
    early_stopping: Annotated[EarlyStopping, BeforeValidator(_rule_alone)] = EarlyStopping()
    trials: PositiveInt | None = None
    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    gpus_per_trial: Annotated[float, Field(ge=0, le=64), AfterValidator(_gpu_share)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    timeout_minutes: Annotated[float, Field(gt=0, le=1e9)] | None = None
    control_slot: str | None = None

    @model_validator(mode="after")
    def _foreseen(self) -> Self:
        if self.min_gain is not None and self.sampler != "ehvi":
            raise ValueError(
                f"min_gain needs a sampler that foresees gains: ehvi, not {self.sampler}"
            )
        return self


class Finalists(Section):
    """What is trained again when the search is over, and judged by the test split.

    `count`: how many of the front, the picks first (`search.picks`); beside them the baseline, the
    control, and for each a control of its size. 0 has none. `seeds`: trainings of each. `epochs`:
    None takes those of a training from scratch.
    """

    count: Annotated[int, Field(ge=0, le=100)] = 1
    seeds: Annotated[int, Field(ge=2, le=100)] = 3
    epochs: PositiveInt | None = None


def read_space_file(path: Path, overrides: Iterable[str] = ()) -> Document:
    """What a YAML file says, with `key=value` overrides, every value of its type.

    Raises InputError with place, key, value and what is allowed, one line for each problem; without
    Paddle, which takes a second to load.
    """
    document = read_yaml(path)
    override(document, overrides)
    validate(document, SpaceFile)
    return document


class SpaceFile(Section):
    """A space file as it is written."""

    backbone: Backbone = Backbone()
    data: DataConfig = DataConfig()
    placement: PlacementRules | None = None
    candidates: Candidates = Field(default_factory=dict)
    training: TrainingConfig = TrainingConfig()
    latency: LatencyConfig = LatencyConfig()
    objectives: Objectives = Objectives()
    search: SearchConfig = SearchConfig()
    finalists: Finalists = Finalists()

    def recipe(self, role: Role) -> TrainingConfig:
        """How a trial of this role is trained.

        A finalist from scratch, unless all begin with given weights.
        """
        if role.contends:
            return self.training.inheriting
        if role is not Role.FINALIST:
            return self.training
        given = self.training.start not in {SCRATCH, BASELINE}
        whole = self.training.inheriting if given else self.training
        return whole.model_copy(update={"epochs": self.finalists.epochs or whole.epochs})

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that must stay the same for trials to be comparable within one study."""
        value = self.model_dump(mode="json")
        for free in (
            "trials",
            "workers",
            "gpus_per_trial",
            "timeout_minutes",
            "sampler",
            "min_gain",
            "early_stopping",
        ):
            del value["search"][free]
        value["data"] = self.data.fingerprint
        value["device"] = "gpu" if self.search.gpus_per_trial else "cpu"
        del value["finalists"]
        del value["candidates"]  # more of them may be listed as one goes
        del value["training"]["warm"]["checks"]
        if not self.training.inherits:
            del value["training"]["warm"]
        if self.training.start not in {SCRATCH, BASELINE, PADDLE}:
            value["training"]["start"] = "file"  # its checksum is held, wherever it lies
        return value
