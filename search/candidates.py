"""The architectures of a space, as the parameters a sampler chooses and as a set to count.

Parameters, in the order they are asked for: `placements` (how many), and for the i-th placement
`slot<i>`, `attention<i>` and `<block><i>.<option>`. The space is conditional: what is not asked
for does not exist. A placement in a slot that is already taken is dropped.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from models.architecture import Architecture, Placement, Slot
from models.attention import make_block
from search.space import BlockChoices, Space


class Chooser(Protocol):
    """What chooses the value of a parameter: an `optuna.Trial`, or what answers like one."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A number from `low` to `high`."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""


def choose(space: Space, trial: Chooser) -> Architecture:
    """The architecture whose parameters the sampler behind `trial` chooses: never the baseline.

    That one is always in the study, and nothing is cheaper: a sampler that may choose it does.
    """
    count = trial.suggest_int("placements", 1, space.at_most)
    by_name = {str(slot): slot for slot in space.slots}
    placed: dict[Slot, Placement] = {}
    for index in range(1, count + 1):
        slot = by_name[str(trial.suggest_categorical(f"slot{index}", tuple(by_name)))]
        choices = _choose_block(space, slot, index, trial)
        options = {
            option: trial.suggest_categorical(f"{choices.name}{index}.{option}", values)
            for option, values in choices.options
        }
        placed.setdefault(slot, Placement(slot, make_block(choices.name, options)))
    return Architecture(space.file.backbone, tuple(placed.values()))


def _choose_block(space: Space, slot: Slot, index: int, trial: Chooser) -> BlockChoices:
    """The block type at `slot`; slots that allow the same types share one parameter."""
    by_name = {choices.name: choices for choices in space.choices_at[slot]}
    everything = {choices.name for at_slot in space.choices_at.values() for choices in at_slot}
    suffix = "" if len(by_name) == len(everything) else f"({'|'.join(by_name)})"
    name = trial.suggest_categorical(f"attention{index}{suffix}", tuple(by_name))
    return by_name[str(name)]


def count_architectures(space: Space) -> int:
    """How many different architectures the space holds: the plain backbone, listed, sampled."""
    at_most = space.at_most
    counts = [1] + [0] * at_most  # counts[k]: architectures of k placements in the slots so far
    for slot in space.slots:
        variants = sum(len(list(choices.variants())) for choices in space.choices_at[slot])
        for k in range(at_most, 0, -1):
            counts[k] += counts[k - 1] * variants
    outside = {c for c in space.candidates.values() if not space.contains(c)}
    return sum(counts) + len(outside)


def every_architecture(space: Space) -> Iterator[Architecture]:
    """All architectures of the space, those of few placements first. There may be very many."""
    backbone = space.file.backbone
    variants = {
        slot: [block for choices in space.choices_at[slot] for block in choices.variants()]
        for slot in space.slots
    }
    for count in range(space.at_most + 1):
        for slots in itertools.combinations(space.slots, count):
            for blocks in itertools.product(*(variants[slot] for slot in slots)):
                placements = tuple(map(Placement, slots, blocks))
                yield Architecture(backbone, placements)
