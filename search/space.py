"""Space files: which architectures are allowed, how they are trained, what they are judged by.

A file becomes a `Space` once, here; nothing past this module is a loose dictionary.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from models import build
from models.architecture import Architecture, Backbone, Block, OptionValue, Slot
from models.attention import block_class, make_block
from models.backbone import Plan
from models.errors import InputError
from models.options import OptionError, did_you_mean
from models.registry import UnknownEntryError
from models.sections import Section
from models.yaml_input import Document, override, read_yaml, validate
from trainers.config import DataConfig, PositiveInt, TrainingConfig
from trainers.data.store import DATA_SETS

Count = Annotated[int, Field(ge=1, le=1000)]
OptionRanges = Annotated[
    dict[str, Any], BeforeValidator(lambda given: {} if given is None else given)
]
Objective = Literal["params", "latency_ms", "macs"]


def _gpu_share(value: float) -> float:
    if value > 1 and value != int(value):
        raise ValueError("must be a part of one GPU, or whole GPUs")
    return value


class PlacementRules(Section):
    """Where blocks may sit and which ones.

    Slots are all combinations of `stages`, `blocks` (residual blocks, counted from 1 in their
    stage) and `positions`; None takes all. A candidate has one to `at_most` placements; None
    allows two, or one where there is one slot.
    `attention` names the block types, each with the values its options may take.
    """

    stages: Annotated[tuple[Count, ...], Field(strict=False, min_length=1)] | None = None
    blocks: Annotated[tuple[Count, ...], Field(strict=False, min_length=1)] | None = None
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
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.minimize)) < len(self.minimize):
            raise ValueError("an objective is named twice in minimize")
        return self


class SearchConfig(Section):
    """How the space is searched.

    `trials`: how many candidates are trained in all, baseline and control among them.
    `workers`: trainings at a time; None takes one for each CPU core, or what the GPUs hold.
    `gpus_per_trial`: share of a GPU for each training, 0 for the CPU.
    `timeout_minutes`: no training is begun after this time; None for no limit.
    `control_slot`: where the residual control sits; None takes the last allowed slot.
    """

    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    trials: PositiveInt = 50
    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    gpus_per_trial: Annotated[float, Field(ge=0, le=64), AfterValidator(_gpu_share)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    timeout_minutes: Annotated[float, Field(gt=0)] | None = None
    control_slot: str | None = None


class SpaceFile(Section):
    """A space file as it is written."""

    backbone: Backbone = Backbone()
    data: DataConfig = DataConfig()
    placement: PlacementRules
    training: TrainingConfig = TrainingConfig()
    objectives: Objectives = Objectives()
    search: SearchConfig = SearchConfig()

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that must stay the same for trials to be comparable within one study."""
        value = self.model_dump(mode="json")
        for free in ("trials", "workers", "gpus_per_trial", "timeout_minutes", "sampler"):
            del value["search"][free]
        del value["data"]["path"]  # verified by checksum wherever it lies
        return value


@dataclass(frozen=True)
class BlockChoices:
    """A block type and the values each of its options may take, in the order they are written."""

    name: str
    options: tuple[tuple[str, tuple[OptionValue, ...]], ...]

    def variants(self) -> Iterator[Block]:
        """Every distinct block these choices allow."""
        names = [name for name, _ in self.options]
        combinations = itertools.product(*(values for _, values in self.options))
        made = (make_block(self.name, dict(zip(names, c, strict=True))) for c in combinations)
        return iter(dict.fromkeys(made))


@dataclass(frozen=True)
class Space:
    """A checked space: every slot exists and every choice is legal in every slot it can meet.

    `slots` are the allowed slots that can hold a block, in the order data pass them; `choices_at`
    the block types for each (one that reads earlier feature maps needs a slot where there are any).
    """

    source: str
    file: SpaceFile
    slots: tuple[Slot, ...]
    choices_at: Mapping[Slot, tuple[BlockChoices, ...]]
    control_slot: Slot

    @property
    def at_most(self) -> int:
        """The most placements a candidate has."""
        return self.file.placement.at_most or min(2, len(self.slots))

    @property
    def baseline(self) -> Architecture:
        """The control `none`: the plain backbone."""
        return Architecture(self.file.backbone)

    @property
    def objective_names(self) -> tuple[str, ...]:
        """All objectives: `val_accuracy`, which is maximised, and those that are minimised."""
        return ("val_accuracy", *self.file.objectives.minimize)


def load_space(path: Path, overrides: Iterable[str] = ()) -> Space:
    """The space in a YAML file, with `key=value` overrides.

    Raises InputError with place, key, value and what is allowed, one line for each problem.
    """
    document = read_yaml(path)
    override(document, overrides)
    return check_space(document)


def check_space(document: Document) -> Space:
    """The space that `document` holds; see `load_space`."""
    file = validate(document, SpaceFile)
    plan = _plan(document, file)
    slots = _allowed_slots(document, file.placement, tuple(plan.slots))
    ranges = file.placement.attention
    choices = tuple(_block_choices(document, name, ranges[name]) for name in ranges)
    choices_at = {slot: _choices_at(document, slot, plan, choices) for slot in slots}
    choices_at = {slot: at_slot for slot, at_slot in choices_at.items() if at_slot}
    _refuse_unusable(document, file, choices, choices_at)
    _refuse_budgets(document, file, plan, choices_at)
    _refuse_data(document, file)
    control_slot = _control_slot(document, file, tuple(plan.slots), slots)
    return Space(document.source, file, tuple(choices_at), choices_at, control_slot)


def _plan(document: Document, file: SpaceFile) -> Plan:
    try:
        return build.plan(Architecture(file.backbone), file.data.image_size)
    except UnknownEntryError as error:
        raise InputError(document.problem(("backbone", "name"), str(error))) from None
    except InputError as error:
        raise InputError(f"{document.place(('backbone',))}: {error}") from None


def _allowed_slots(
    document: Document, rules: PlacementRules, existing: tuple[Slot, ...]
) -> tuple[Slot, ...]:
    for key, attribute in (("stages", "stage"), ("blocks", "block"), ("positions", "position")):
        wanted = getattr(rules, key)
        known = list(dict.fromkeys(getattr(slot, attribute) for slot in existing))
        for index, value in enumerate(wanted or ()):
            if value not in known:
                hint = did_you_mean(str(value), map(str, known))
                allowed = ", ".join(map(str, known))
                message = f"{value!r} does not exist in this backbone; allowed: {allowed}{hint}"
                raise InputError(document.problem(("placement", key, index), message))
    slots = tuple(
        slot
        for slot in existing
        if (rules.stages is None or slot.stage in rules.stages)
        and (rules.blocks is None or slot.block in rules.blocks)
        and (rules.positions is None or slot.position in rules.positions)
    )
    if not slots:
        message = "stages, blocks and positions together leave no slot"
        raise InputError(document.problem(("placement",), message))
    return slots


def _block_choices(document: Document, name: str, ranges: Mapping[str, object]) -> BlockChoices:
    path = ("placement", "attention", name)
    try:
        declared = {option.name: option for option in block_class(name).options}
        given = {key: _values(key, value) for key, value in ranges.items()}
        make_block(name, {key: values[0] for key, values in given.items()})
        options = []
        for key, values in given.items():
            parsed = tuple(declared[key].parse(value) for value in values)
            if len(set(parsed)) < len(parsed):
                raise OptionError(key, f"a value is given twice in {list(values)}")
            options.append((key, parsed))
    except UnknownEntryError as error:
        raise InputError(document.problem(path, str(error))) from None
    except OptionError as error:
        raise InputError(document.problem((*path, error.option), error.message)) from None
    return BlockChoices(name, tuple(options))


def _values(key: str, value: object) -> tuple[object, ...]:
    if value == []:
        raise OptionError(key, "needs at least one value")
    return tuple(value) if isinstance(value, list) else (value,)


def _choices_at(
    document: Document, slot: Slot, plan: Plan, choices: tuple[BlockChoices, ...]
) -> tuple[BlockChoices, ...]:
    shape = plan.slots[slot]
    usable = []
    for block in choices:
        if block_class(block.name).wants_bridged and not shape.bridged:
            continue
        for variant in block.variants():
            reason = build.refuse(variant, shape)
            if reason is not None:
                path = ("placement", "attention", block.name)
                raise InputError(document.problem(path, f"{variant} at {slot}: {reason}"))
        usable.append(block)
    return tuple(usable)


def _refuse_unusable(
    document: Document,
    file: SpaceFile,
    choices: tuple[BlockChoices, ...],
    choices_at: Mapping[Slot, tuple[BlockChoices, ...]],
) -> None:
    usable = {block.name for at_slot in choices_at.values() for block in at_slot}
    for block in choices:
        if block.name not in usable:
            positions = ", ".join(file.placement.positions or ())
            message = (
                f"cannot sit in any allowed slot (positions: {positions}): it reads earlier "
                "feature maps of the residual block; allow before_add"
            )
            raise InputError(document.problem(("placement", "attention", block.name), message))
    if (file.placement.at_most or 1) > len(choices_at):
        message = (
            f"{file.placement.at_most} is not allowed: {len(choices_at)} slots can hold a block"
        )
        raise InputError(document.problem(("placement", "at_most"), message))


def _refuse_budgets(
    document: Document,
    file: SpaceFile,
    plan: Plan,
    choices_at: Mapping[Slot, tuple[BlockChoices, ...]],
) -> None:
    budget = file.objectives.max_params
    if budget is None:
        return
    least = plan.cost.params + min(
        build.block_cost(variant, plan.slots[slot]).params
        for slot, at_slot in choices_at.items()
        for choices in at_slot
        for variant in choices.variants()
    )
    if budget < least:
        message = (
            f"{budget:,} cannot be met: the plain backbone has {plan.cost.params:,} parameters, "
            f"the smallest candidate {least:,}"
        )
        raise InputError(document.problem(("objectives", "max_params"), message))


def _refuse_data(document: Document, file: SpaceFile) -> None:
    facts, data = DATA_SETS[file.data.name], file.data
    if file.backbone.classes != facts.classes:
        message = f"{file.backbone.classes} is not allowed: {data.name} has {facts.classes} classes"
        raise InputError(document.problem(("backbone", "classes"), message))
    left = facts.train.images - data.validation_images
    train = left if data.train_images is None else data.train_images
    if train > left or left < 1:
        message = (
            f"{train:,} and {data.validation_images:,} validation images are more than the "
            f"{facts.train.images:,} of {data.name}'s training split"
        )
        raise InputError(document.problem(("data", "train_images"), message))
    if file.training.batch_size > train:
        message = f"{file.training.batch_size:,} is more than the {train:,} training images"
        raise InputError(document.problem(("training", "batch_size"), message))


def _control_slot(
    document: Document, file: SpaceFile, existing: tuple[Slot, ...], slots: tuple[Slot, ...]
) -> Slot:
    given = file.search.control_slot
    if given is None:
        return slots[-1]
    names = {str(slot): slot for slot in existing}
    if given not in names:
        message = f"{given!r} is no slot of this backbone{did_you_mean(given, names)}"
        raise InputError(document.problem(("search", "control_slot"), message))
    return names[given]
