"""The placements of a space, as what a sampler chooses among."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from models import build
from models.architecture import Architecture, Placement
from models.cost import Cost
from search.candidates import choose, count_sampled, distributions, every_architecture
from search.latencies import Latencies
from search.ledger import Ledger
from search.placement_features import LEVELS, PlacementFeatures
from search.proposer import Proposer
from search.sampling.domain import Features, by_parameters
from search.space import Space
from search.stored_trial import CANDIDATE


class PlacementDomain:
    """The architectures that a space's sampler may choose; see `search.sampling.domain.Domain`.

    `latencies` predicts what was not measured; `reference_ms` gives the plain backbone's latency
    once it is known, and until then latencies are ratios to it.
    """

    levels = LEVELS

    def __init__(
        self, space: Space, latencies: Latencies, reference_ms: Callable[[], float | None]
    ) -> None:
        self._space, self._latencies, self._reference_ms = space, latencies, reference_ms
        self._plan = build.plan(space.baseline, space.file.data.image_size)
        self._max_params = space.file.objectives.max_params
        self._described = PlacementFeatures()
        self._added: dict[Placement, Cost] = {}
        self._by_id: dict[str, Architecture] = {}

    @cached_property
    def size(self) -> int:
        """How many architectures the sampler can choose."""
        return count_sampled(self._space)

    def choose(self, chooser: Any) -> Architecture:
        """See `search.candidates.choose`."""
        return choose(self._space, chooser)

    def parameters(
        self, candidate: Architecture
    ) -> tuple[Mapping[str, Any], Mapping[str, BaseDistribution]]:
        """Values and distributions by name; none of an architecture outside the space."""
        if not candidate.placements or not self._space.contains(candidate):
            return {}, {}
        reciter = _Reciter(candidate)
        choose(self._space, reciter)
        return reciter.params, reciter.distributions

    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Every parameter that `choose` may ask for."""
        return self._distributions

    @cached_property
    def _distributions(self) -> Mapping[str, BaseDistribution]:
        return distributions(self._space)

    def every(self) -> Iterator[Architecture]:
        """All but those of more parameters than allowed, those of few placements first."""
        return (each for each in every_architecture(self._space, self._fits) if each.placements)

    def recall(self, trial: FrozenTrial) -> Architecture | None:
        """The architecture that a trial of the ledger notes, or that its parameters give."""
        noted = trial.user_attrs.get(CANDIDATE)
        if noted is None:
            return by_parameters(self, trial)
        known = self._by_id.get(noted["architecture_id"])
        if known is None:
            known = Architecture.from_json(json.dumps(noted["architecture"]))
            self._by_id[noted["architecture_id"]] = known
        return known

    def costs(self, candidate: Architecture) -> tuple[float, ...]:
        """Parameters, MACs and latency in milliseconds, as far as these are objectives."""
        cost = self._cost(candidate.placements)
        values: dict[str, Callable[[], float]] = {
            "params": lambda: cost.params,
            "macs": lambda: cost.macs,
            "latency_ms": lambda: self._latencies.ratio(candidate) * self._unit_ms,
        }
        return tuple(values[name]() for name in self._space.file.objectives.minimize)

    def allowed(self, candidate: Architecture) -> bool:
        """Whether it is within the budgets; one of latency is only known to be missed at times."""
        most_ms = self._space.file.objectives.max_latency_ms
        if not self._fits(candidate.placements):
            return False
        if most_ms is None or self._reference_ms() is None:
            return True
        ratio, doubt = self._latencies.estimate(candidate)
        return (1 - doubt) * ratio * self._unit_ms <= most_ms

    def features(self, candidate: Architecture) -> Features:
        """What its placements have in common with others."""
        return self._described.features(candidate)

    @property
    def _unit_ms(self) -> float:
        return self._reference_ms() or 1.0

    def _fits(self, placements: Sequence[Placement]) -> bool:
        """Whether they are within the budget of parameters."""
        return self._max_params is None or self._cost(placements).params <= self._max_params

    def _cost(self, placements: Sequence[Placement]) -> Cost:
        """Of the backbone with these in it."""
        total = self._plan.cost
        for placement in placements:
            total = total + self._cost_of(placement)
        return total

    def _cost_of(self, placement: Placement) -> Cost:
        added = self._added.get(placement)
        if added is None:
            shape = self._plan.slots[placement.slot]
            added = self._added[placement] = build.block_cost(placement.block, shape)
        return added


def placement_proposer(
    space: Space, latencies: Latencies, ledger: Ledger
) -> Proposer[Architecture]:
    """Proposes the architectures of `space` for the study of `ledger`."""
    search = space.file.search
    domain = PlacementDomain(space, latencies, lambda: ledger.reference_ms)
    return Proposer(domain, search.sampler, ledger.study.directions, space.trials, search.seed)


class _Reciter:
    """Chooses the placements of an architecture, in their order, and notes what it was asked."""

    def __init__(self, architecture: Architecture) -> None:
        self._placements = architecture.placements
        self._next = iter(self._placements)
        self._now: Placement | None = None
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """The number of placements, the only one that is asked for."""
        self.params[name] = len(self._placements)
        self.distributions[name] = IntDistribution(low, high)
        return len(self._placements)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """A slot, a block's type or one of its options."""
        chosen = self._answer(name)
        chosen = choices[0] if chosen is None else chosen  # an option that has no effect
        self.params[name], self.distributions[name] = chosen, CategoricalDistribution(choices)
        return chosen

    def _answer(self, name: str) -> Any:
        if name.startswith("slot"):
            self._now = next(self._next)
            return str(self._now.slot)
        if self._now is None:
            raise ValueError(f"{name} is asked for before any slot")
        block = self._now.block
        if name.startswith("attention"):
            return block.name
        return dict(block.options).get(name.partition(".")[2])
