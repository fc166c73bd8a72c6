"""The architectures of a space, as the parameters a sampler chooses and as a set to count.

Parameters, in the order they are asked for: `placements` (how many), and for the i-th placement
`slot<i>`, `attention<i>` and `<block><i>.<option>`. The space is conditional: what is not asked
for does not exist. A placement in a slot that is already taken is dropped.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from models.architecture import Architecture, Block, OptionValue, Placement, Slot
from models.attention import make_block
from search.sampling.domain import Chooser
from search.space import BlockChoices, Space

Placements = tuple[Placement, ...]
Fits = Callable[[Placements], bool]


def choose(space: Space, trial: Chooser) -> Architecture:
    """The architecture whose parameters the sampler behind `trial` chooses: never the baseline.

    That one is always in the study, and nothing is cheaper: a sampler that may choose it does.
    """
    count = trial.suggest_int("placements", 1, space.at_most)
    names = tuple(space.slots_by_name)
    placed: dict[Slot, Placement] = {}
    for index in range(1, count + 1):
        slot = space.slots_by_name[str(trial.suggest_categorical(f"slot{index}", names))]
        choices = _choose_block(space, slot, index, trial)
        options = tuple(
            (option, trial.suggest_categorical(f"{choices.name}{index}.{option}", values))
            for option, values in choices.options
        )
        placed.setdefault(slot, Placement(slot, _block(choices.name, options)))
    return Architecture(space.file.backbone, tuple(placed.values()))


@lru_cache(maxsize=10_000)
def _block(name: str, options: tuple[tuple[str, OptionValue], ...]) -> Block:
    return make_block(name, dict(options))


def _choose_block(space: Space, slot: Slot, index: int, trial: Chooser) -> BlockChoices:
    """The block type at `slot`; slots that allow the same types share one parameter."""
    by_name = space.choices_by_name[slot]
    name = trial.suggest_categorical(f"attention{index}{_suffix(space, slot)}", tuple(by_name))
    return by_name[str(name)]


def _suffix(space: Space, slot: Slot) -> str:
    """What tells the parameter of a slot's block type apart where some types cannot be there."""
    names = space.choices_by_name[slot]
    return "" if len(names) == len(space.block_types) else f"({'|'.join(names)})"


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Every parameter that `choose` may ask for."""
    found: dict[str, BaseDistribution] = {"placements": IntDistribution(1, space.at_most)}
    for index in range(1, space.at_most + 1):
        found[f"slot{index}"] = CategoricalDistribution([str(slot) for slot in space.slots])
        for slot, at_slot in space.choices_at.items():
            names = [choices.name for choices in at_slot]
            found[f"attention{index}{_suffix(space, slot)}"] = CategoricalDistribution(names)
            for choices in at_slot:
                for option, values in choices.options:
                    name = f"{choices.name}{index}.{option}"
                    found[name] = CategoricalDistribution(values)
    return found


def count_architectures(space: Space) -> int:
    """How many different architectures the space holds: the plain backbone, listed, sampled."""
    outside = {c for c in space.candidates.values() if not space.contains(c)}
    return 1 + count_sampled(space) + len(outside)


def count_sampled(space: Space) -> int:
    """How many different architectures `choose` can give."""
    counts = [1] + [0] * space.at_most  # counts[k]: of k placements in the slots so far
    for slot in space.slots:
        variants = sum(len(list(choices.variants())) for choices in space.choices_at[slot])
        for k in range(space.at_most, 0, -1):
            counts[k] += counts[k - 1] * variants
    return sum(counts[1:])


def every_architecture(space: Space, fits: Fits = lambda _: True) -> Iterator[Architecture]:
    """All architectures of the space, those of few placements first. There may be very many.

    `fits` says whether placements may be together, which more of them never mend: none with such
    placements is given, nor gone through.
    """
    backbone = space.file.backbone
    at_slot = [
        [Placement(slot, b) for choices in space.choices_at[slot] for b in choices.variants()]
        for slot in space.slots
    ]
    for count in range(space.at_most + 1):
        none = True
        for slots in itertools.combinations(at_slot, count):
            for placements in _together((), slots, fits):
                yield Architecture(backbone, placements)
                none = False
        if none:
            return


def _together(
    placed: Placements, more: Sequence[Sequence[Placement]], fits: Fits
) -> Iterator[Placements]:
    """`placed` with one of each of `more`."""
    if not more:
        yield placed
        return
    for placement in more[0]:
        together = (*placed, placement)
        if fits(together):
            yield from _together(together, more[1:], fits)
