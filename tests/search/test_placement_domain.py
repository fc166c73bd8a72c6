"""Placements in Optuna's own loop, without this project's driver and ledger."""

import optuna
import pytest
from optuna.trial import TrialState
from simulated import make_space

from models.architecture import Architecture
from search.latencies import Latencies
from search.placements import PlacementDomain
from search.sampling.ehvi import EHVISampler
from search.sampling.whole import GridSampler

DIRECTIONS = ["maximize", "minimize", "minimize"]
FATES = (TrialState.COMPLETE, TrialState.FAIL, None)


@pytest.fixture
def domain() -> PlacementDomain:
    space = make_space()
    latencies = Latencies(space.file.latency, space.file.data.image_size)
    return PlacementDomain(space, latencies, lambda: None)


@pytest.mark.parametrize("kind", [EHVISampler, GridSampler])
def test_nothing_twice_by_ask_and_tell(
    domain: PlacementDomain, kind: type[EHVISampler[Architecture]]
) -> None:
    """Whatever became of the others, and though each sampler is a new one."""
    study, found = optuna.create_study(directions=DIRECTIONS), []
    for number in range(15):
        study.sampler = kind(domain, 0)
        trial = study.ask()
        candidate = domain.choose(trial)
        found.append(candidate)
        fate = FATES[number % 3]
        if fate is not None:
            values = [0.3 + number / 100, *domain.costs(candidate)]
            study.tell(trial, values if fate is TrialState.COMPLETE else None, fate)
    assert len(set(found)) == 15
    assert [domain.recall(trial) for trial in study.trials] == found


def test_of_a_trial_of_something_else_nothing_is_recalled(domain: PlacementDomain) -> None:
    study = optuna.create_study()
    trial = study.ask()
    trial.suggest_float("rate", 0, 1)
    trial.suggest_int("placements", 40, 50)
    assert domain.recall(study.trials[0]) is None
