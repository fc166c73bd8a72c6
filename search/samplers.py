"""The samplers that a space file can name, and what each is shown of a study."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from search.sampling.domain import Domain
from search.sampling.ehvi import EHVISampler
from search.sampling.whole import GridSampler
from search.space_file import SamplerName


@dataclass(frozen=True)
class Kind:
    """How a sampler is used.

    `make(domain, trials, seed)`: the sampler, for a study that is to hold so many trials. One that
    chooses candidates whole knows the domain, sees all trials, the running ones too, and proposes
    nothing twice. The others see only ended trials that they could have chosen, and learn nothing
    from the baseline, which is always on the front, but that half of what is good has no
    parameters. `asked`: how often these are asked for something new before their last proposal is
    changed by hand. `most_shown`: trials, where they take time by their number.
    """

    make: Callable[[Domain[Any], int, int], BaseSampler]
    asked: int = 10
    most_shown: int | None = None


def _population(trials: int) -> int:
    """Optuna's default, generations of 50, would make most searches of this size random ones."""
    return min(50, max(4, trials // 4))


def _tpe(_: Domain[Any], trials: int, seed: int) -> BaseSampler:
    startup = min(10, max(3, trials // 4))
    # `group` splits a conditional space into its unconditional parts.
    return optuna.samplers.TPESampler(
        n_startup_trials=startup, seed=seed, multivariate=True, group=True
    )


def _nsga2(_: Domain[Any], trials: int, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=_population(trials), seed=seed)


def _nsga3(_: Domain[Any], trials: int, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIIISampler(population_size=_population(trials), seed=seed)


KINDS: dict[SamplerName, Kind] = {
    "ehvi": Kind(lambda domain, _, seed: EHVISampler(domain, seed)),
    "tpe": Kind(_tpe, asked=1, most_shown=100),
    "nsga2": Kind(_nsga2),
    "nsga3": Kind(_nsga3),
    "random": Kind(lambda _, __, seed: optuna.samplers.RandomSampler(seed), most_shown=0),
    "grid": Kind(lambda domain, _, seed: GridSampler(domain, seed)),
}


def make_sampler(kind: Kind, domain: Domain[Any], trials: int, seed: int) -> BaseSampler:
    """The sampler of a kind, without a word on which of Optuna's call themselves experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind.make(domain, trials, seed)
