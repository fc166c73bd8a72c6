"""Finalists: the best of a front, and what they are compared with, trained anew with several seeds.

A search tries many networks once, with one seed, and picks by the images it is judged by. So the
picks are trained again from scratch, at full length, with seeds the search has not used, and judged
by the test split; beside them the baseline, the residual control and, for each finalist, a control
of its size. The same seed gives all of them the same batches, so that they are compared pair by
pair.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models import build
from models.architecture import Architecture, Block, Placement
from models.block import SlotShape
from search.front import front
from search.picks import picks
from search.space import Space
from search.space_file import Finalists
from search.trial import Role, State, Trial

MATCHED = "bottleneck"
"""The block that takes the place of attention in a control of a wanted size."""


@dataclass(frozen=True)
class Contestant:
    """A network to be trained with every seed, for the trial `of`.

    That is the trial of the same architecture or, of a control of the same size, the one whose size
    it has; `name` says so.
    """

    architecture: Architecture
    of: int
    name: str = ""


@dataclass(frozen=True)
class Run:
    """One training of a contestant."""

    contestant: Contestant
    seed: int


def contestants(space: Space, trials: Sequence[Trial]) -> list[Contestant]:
    """Baseline, control, and each finalist with the control of its size; each network once.

    The finalists are the picks, and after them the front by falling accuracy. None without a
    candidate on the front, or where none are asked for.
    """
    chosen = _chosen(space, trials, space.file.finalists.count)
    if not chosen:
        return []
    found = [
        Contestant(trial.architecture, trial.number, trial.name)
        for trial in (*_compared(trials), *chosen)
    ]
    found += _of_equal_size(space, chosen)
    return list({each.architecture: each for each in reversed(found)}.values())[::-1]


def missing(space: Space, trials: Sequence[Trial]) -> list[Run]:
    """The trainings that the study lacks, seed by seed, so that whatever is done can be compared.

    One that failed is not tried again.
    """
    made = {
        (trial.architecture, trial.seed)
        for trial in trials
        if trial.role is Role.FINALIST and trial.epochs == epochs(space)
    }
    all_of_them = contestants(space, trials)
    runs = (Run(each, seed) for seed in seeds(space) for each in all_of_them)
    return [run for run in runs if (run.contestant.architecture, run.seed) not in made]


def most(finalists: Finalists) -> int:
    """The most trainings there can be: each finalist has a control of its size."""
    return (2 * finalists.count + 2) * finalists.seeds if finalists.count else 0


def seeds(space: Space) -> range:
    """Those after the search's own, which picked the finalists and so may flatter them."""
    first = space.file.search.seed + 1
    return range(first, first + space.file.finalists.seeds)


def epochs(space: Space) -> int:
    """How long each is trained."""
    return space.file.recipe(Role.FINALIST).epochs


def equal_size(architecture: Architecture, image_size: int) -> Architecture:
    """`architecture` with ordinary residual blocks of about as many parameters as its attention.

    A block that has so few that the smallest of those is further off than none is left out, so this
    may be the plain backbone.
    """
    shapes = build.plan(architecture, image_size).slots
    placed = (
        (placement.slot, _matched(placement.block, shapes[placement.slot]))
        for placement in architecture.placements
    )
    kept = tuple(Placement(slot, block) for slot, block in placed if block is not None)
    return Architecture(architecture.backbone, kept)


def _matched(block: Block, shape: SlotShape) -> Block | None:
    """The residual block nearest to `block` in parameters; None where no block at all is nearer."""
    wanted = build.block_cost(block, shape).params

    def off(hidden: int) -> int:
        return abs(build.block_cost(_bottleneck(hidden), shape).params - wanted)

    hidden = 1
    while off(hidden + 1) < off(hidden):
        hidden += 1
    return _bottleneck(hidden) if off(hidden) < wanted else None


def _bottleneck(hidden: int) -> Block:
    return Block(MATCHED, (("hidden", hidden),))


def _chosen(space: Space, trials: Sequence[Trial], count: int) -> list[Trial]:
    names = space.objective_names
    picked = [pick.trial for pick in picks(trials, names)]
    members = [trial for trial in front(trials, names) if trial.role is Role.CANDIDATE]
    ordered = {trial.number: trial for trial in (*picked, *members)}
    return list(ordered.values())[:count]


def _compared(trials: Iterable[Trial]) -> list[Trial]:
    """The trials of the baseline and of the control."""
    roles = (Role.BASELINE, Role.CONTROL)
    found = {t.role: t for t in trials if t.role in roles and t.state is State.COMPLETE}
    return [found[role] for role in roles if role in found]


def _of_equal_size(space: Space, chosen: Iterable[Trial]) -> list[Contestant]:
    size = space.file.data.image_size
    pairs = ((trial, equal_size(trial.architecture, size)) for trial in chosen)
    return [
        Contestant(twin, trial.number, f"size of trial {trial.number}, without attention")
        for trial, twin in pairs
        if twin.placements
    ]
