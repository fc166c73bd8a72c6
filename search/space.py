"""Spaces: which architectures are allowed, how they are trained, what they are judged by.

A file becomes a `Space` once, here; nothing past this module is a loose dictionary.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from models import build
from models.architecture import Architecture, Block, OptionValue, Placement, Slot
from models.attention import block_class, make_block
from models.backbone import Plan
from models.block import SlotShape
from models.errors import InputError
from models.explicit import read_candidates, read_plan
from models.options import OptionError
from models.registry import UnknownEntryError
from models.shorthand import nearest_position, position_list, selected, slots_named
from models.written import Word
from models.yaml_input import Document, KeyPath, validate
from search.recipe import completed, foreseen, refuse_images, refuse_recipe
from search.space_file import PlacementRules, SpaceFile, read_space_file
from trainers.data.facts import DataSetFacts

DEFAULT_TRIALS = 50
MAX_VARIANTS = 1000
"""How many combinations of a block's options may be listed: each is checked in each slot."""


@dataclass(frozen=True)
class BlockChoices:
    """A block type and the values each of its options may take, in the order they are written."""

    name: str
    options: tuple[tuple[str, tuple[OptionValue, ...]], ...]

    def variants(self) -> Iterator[Block]:
        """Every distinct block these choices allow."""
        return iter(self._variants)

    @cached_property
    def _variants(self) -> tuple[Block, ...]:
        names = [name for name, _ in self.options]
        combinations = itertools.product(*(values for _, values in self.options))
        made = (make_block(self.name, dict(zip(names, c, strict=True))) for c in combinations)
        return tuple(dict.fromkeys(made))


@dataclass(frozen=True)
class Space:
    """A checked space: every slot exists and every choice is legal in every slot it can meet.

    `slots` are the allowed slots that can hold a block, in the order data pass them; `choices_at`
    the block types for each (one that reads earlier feature maps needs a slot where there are any).
    Both are empty in a space without `placement`, where nothing is sampled. `candidates` are the
    architectures listed by name, which are tried first. `warnings` are for whoever starts a search.
    """

    source: str
    file: SpaceFile
    slots: tuple[Slot, ...]
    choices_at: Mapping[Slot, tuple[BlockChoices, ...]]
    candidates: Mapping[str, Architecture]
    control_slot: Slot
    warnings: tuple[str, ...] = ()

    @cached_property
    def block_types(self) -> frozenset[str]:
        """The block types that may sit somewhere."""
        return frozenset(c.name for at_slot in self.choices_at.values() for c in at_slot)

    @cached_property
    def slots_by_name(self) -> Mapping[str, Slot]:
        """`slots` by what they are called."""
        return {str(slot): slot for slot in self.slots}

    @cached_property
    def choices_by_name(self) -> Mapping[Slot, Mapping[str, BlockChoices]]:
        """`choices_at` by the block types' names."""
        return {slot: {each.name: each for each in at} for slot, at in self.choices_at.items()}

    @property
    def at_most(self) -> int:
        """The most placements a sampled candidate has."""
        given = self.file.placement.at_most if self.file.placement else None
        return given or min(2, len(self.slots))

    @property
    def trials(self) -> int:
        """How many trials the study is to hold."""
        given = self.file.search.trials
        if given is not None:
            return given
        listed = len(self.fixed)
        return max(DEFAULT_TRIALS, listed) if self.slots else listed

    @property
    def fixed(self) -> tuple[Architecture, ...]:
        """What is tried before anything is sampled: baseline, control, listed candidates."""
        return tuple(dict.fromkeys((self.baseline, self.control, *self.candidates.values())))

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the listed candidates that `trials` leaves no room for."""
        late = frozenset(self.fixed[self.trials :])
        return tuple(name for name, architecture in self.candidates.items() if architecture in late)

    @property
    def baseline(self) -> Architecture:
        """The control `none`: the plain backbone."""
        return Architecture(self.file.backbone)

    @property
    def control(self) -> Architecture:
        """The control `residual`: an ordinary residual block in the control slot."""
        return Architecture(self.file.backbone, (Placement(self.control_slot, Block("residual")),))

    def contains(self, architecture: Architecture) -> bool:
        """Whether the sampler could choose it; the plain backbone counts as such."""
        return len(architecture.placements) <= self.at_most and all(
            any(p.block in choices.variants() for choices in self.choices_at.get(p.slot, ()))
            for p in architecture.placements
        )

    @property
    def objective_names(self) -> tuple[str, ...]:
        """All objectives: `val_accuracy`, which is maximised, and those that are minimised."""
        return ("val_accuracy", *self.file.objectives.minimize)


def load_space(path: Path, overrides: Iterable[str] = ()) -> Space:
    """The space in a YAML file, with `key=value` overrides.

    Raises InputError with place, key, value and what is allowed, one line for each problem.
    """
    return whole_space(read_space_file(path, overrides))


def whole_space(document: Document) -> Space:
    """The space that `document` holds, with what to warn of; see `load_space`."""
    space = check_space(document)
    return replace(space, warnings=tuple(_warnings(document, space)))


def _warnings(document: Document, space: Space) -> Iterator[str]:
    if space.left_out:
        some = ", ".join(space.left_out[:3]) + ", …" * (len(space.left_out) > 3)
        message = (
            f"{space.trials} leaves {len(space.left_out)} of {len(space.candidates)} listed "
            f"candidates untrained ({some}); set {len(space.fixed)} or more, or leave it out"
        )
        yield document.problem(("search", "trials"), message)


def check_space(document: Document) -> Space:
    """The space that `document` holds; see `load_space`."""
    file = validate(document, SpaceFile)
    if file.placement is None and not file.candidates:
        message = "is missing: say where what may be placed, or list `candidates`, or both"
        raise InputError(document.problem(("placement",), message))
    known = foreseen(document, file)
    file = completed(file, known)
    plan = read_plan(document, file.backbone, file.data.image_size)
    choices_at = _sampled(document, file, plan) if file.placement else {}
    candidates = read_candidates(document, file.candidates, file.backbone, plan)
    refuse_recipe(document, file, known)
    control_slot = _control_slot(document, file, plan, choices_at)
    return Space(document.source, file, tuple(choices_at), choices_at, candidates, control_slot)


def settled(document: Document, space: Space, facts: DataSetFacts) -> Space:
    """`space` once its images are prepared: with as many validation images as they allow.

    Raises InputError where they are too few for it.
    """
    refuse_images(document, space.file, facts.foreseen)
    data = space.file.data.settled(facts.train.images)
    return replace(space, file=space.file.model_copy(update={"data": data}))


def _sampled(
    document: Document, file: SpaceFile, plan: Plan
) -> dict[Slot, tuple[BlockChoices, ...]]:
    """What `placement` allows: each slot that can hold a block, and the block types for it."""
    rules = file.placement
    if rules is None:
        return {}
    slots = _allowed_slots(document, rules, plan)
    choices = tuple(_block_choices(document, n, ranges) for n, ranges in rules.attention.items())
    by_shape: dict[SlotShape, tuple[BlockChoices, ...]] = {}
    for slot in slots:  # what fits depends on the shape alone, which many slots share
        if plan.slots[slot] not in by_shape:
            by_shape[plan.slots[slot]] = _choices_at(document, slot, plan, choices)
    choices_at = {slot: by_shape[plan.slots[slot]] for slot in slots if by_shape[plan.slots[slot]]}
    _refuse_unusable(document, rules, plan, choices, choices_at)
    _refuse_budgets(document, file, plan, choices_at)
    return choices_at


def _allowed_slots(document: Document, rules: PlacementRules, plan: Plan) -> tuple[Slot, ...]:
    _refuse_missing(document, rules, plan)
    positions = [plan.aliases.get(position, position) for position in rules.positions or ()]
    slots = tuple(
        slot
        for slot in _in_allowed_blocks(rules, plan)
        if rules.positions is None or slot.position in positions
    )
    if not slots:
        message = "stages, blocks and positions together leave no slot"
        raise InputError(document.problem(("placement",), message))
    return slots


def _refuse_missing(document: Document, rules: PlacementRules, plan: Plan) -> None:
    """Refuses stages, blocks and positions that the backbone does not have."""
    for key, wanted in (("stages", rules.stages), ("blocks", rules.blocks)):
        numbers = list(dict.fromkeys(getattr(slot, key[:-1]) for slot in plan.slots))
        for index, number in enumerate(wanted if isinstance(wanted, tuple) else ()):
            if number not in numbers:
                allowed = ", ".join(map(str, numbers))
                message = f"{number} does not exist in this backbone; allowed: {allowed}"
                raise InputError(document.problem(("placement", key, index), message))
    positions = {*plan.aliases, *(slot.position for slot in plan.slots)}
    for index, position in enumerate(rules.positions or ()):
        if position not in positions:
            near = nearest_position(position, plan.slots, plan)
            hint = f'; did you mean "{near}"?' if near else ""
            allowed = position_list(plan.slots, plan)
            message = f"{position!r} does not exist in this backbone; allowed: {allowed}{hint}"
            raise InputError(document.problem(("placement", "positions", index), message))


def _in_allowed_blocks(rules: PlacementRules, plan: Plan) -> tuple[Slot, ...]:
    """The slots of the stages and blocks that are allowed, at any position."""
    stages = _numbers(rules.stages, {slot.stage for slot in plan.slots})
    slots = []
    for slot in plan.slots:
        of_stage = {other.block for other in plan.slots if other.stage == slot.stage}
        if slot.stage in stages and slot.block in _numbers(rules.blocks, of_stage):
            slots.append(slot)
    return tuple(slots)


def _numbers(wanted: tuple[int, ...] | Word | None, existing: set[int]) -> tuple[int, ...]:
    """The numbers that a list or a word of a space file means."""
    if isinstance(wanted, tuple):
        return wanted
    return selected(wanted or "all", sorted(existing))


def _block_choices(document: Document, name: str, ranges: Mapping[str, object]) -> BlockChoices:
    path = ("placement", "attention", name)
    try:
        declared = {option.name: option for option in block_class(name).options}
        given = {key: _values(key, value) for key, value in ranges.items()}
        _refuse_many(document, path, given)
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


def _refuse_many(document: Document, path: KeyPath, given: Mapping[str, Sized]) -> None:
    count = math.prod(len(values) for values in given.values())
    if count > MAX_VARIANTS:
        message = f"{count:,} combinations of options; at most {MAX_VARIANTS:,} are allowed"
        raise InputError(document.problem(path, message))


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
            refused = build.refuse_at(slot, variant, plan)
            if refused is not None:
                path = ("placement", "attention", block.name)
                raise InputError(document.problem(path, refused))
        usable.append(block)
    return tuple(usable)


def _refuse_unusable(
    document: Document,
    rules: PlacementRules,
    plan: Plan,
    choices: tuple[BlockChoices, ...],
    choices_at: Mapping[Slot, tuple[BlockChoices, ...]],
) -> None:
    usable = {block.name for at_slot in choices_at.values() for block in at_slot}
    for block in choices:
        if block.name not in usable:
            message = (
                "cannot sit in any allowed slot: it reads earlier feature maps of the same block; "
                f"{_where_bridged(rules, plan)}"
            )
            raise InputError(document.problem(("placement", "attention", block.name), message))
    if (rules.at_most or 1) > len(choices_at):
        message = f"{rules.at_most} is not allowed: {len(choices_at)} slots can hold a block"
        raise InputError(document.problem(("placement", "at_most"), message))


def _where_bridged(rules: PlacementRules, plan: Plan) -> str:
    """What to allow for a block that reads earlier feature maps."""
    bridged = [slot for slot, shape in plan.slots.items() if shape.bridged]
    within = _in_allowed_blocks(rules, plan)
    allowed = [slot for slot in bridged if slot in within]
    positions = " or ".join(dict.fromkeys(slot.position for slot in allowed or bridged))
    if allowed:
        return f"allow {positions}"
    stages = ", ".join(dict.fromkeys(str(slot.stage) for slot in bridged))
    return f"the allowed stages and blocks have none; allow stage {stages} with {positions}"


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
        build.block_cost(variant, shape).params
        for shape, at_slot in {plan.slots[slot]: at for slot, at in choices_at.items()}.items()
        for choices in at_slot
        for variant in choices.variants()
    )
    if budget < least:
        message = (
            f"{budget:,} cannot be met: the plain backbone has {plan.cost.params:,} parameters, "
            f"the smallest candidate {least:,}"
        )
        raise InputError(document.problem(("objectives", "max_params"), message))


def _control_slot(
    document: Document, file: SpaceFile, plan: Plan, sampled: Collection[Slot]
) -> Slot:
    """Where the residual control sits: it must not move when more candidates are listed."""
    given = file.search.control_slot
    if given is None:
        return [slot for slot in plan.slots if slot in sampled or not sampled][-1]
    try:
        slots = slots_named(given, plan)
    except InputError as error:
        raise InputError(document.problem(("search", "control_slot"), str(error))) from None
    if len(slots) > 1:
        message = f"{given!r} names {len(slots)} slots; the control sits in one"
        raise InputError(document.problem(("search", "control_slot"), message))
    return slots[0]
