"""How long a sampler takes for a proposal, in a study that already holds many trainings."""

import time
from collections.abc import Callable

import numpy as np
import optuna

from benchmarks import nasbench201
from benchmarks.machine import ROOT
from benchmarks.made_latencies import made_latency
from models.build import cost
from search.latencies import Latencies
from search.ledger import Ledger, Proposal
from search.placements import PlacementDomain, placement_proposer
from search.proposer import Chosen
from search.sampling.neighbour import Neighbour
from search.space import load_space
from trainers.messages import EpochResult

Seconds = tuple[float, float]
"""The median of several proposals, and the first, for which a model's parameters are chosen."""


def of_cells(sampler: str, trainings: int, times: int = 5) -> Seconds:
    """For the cells of NAS-Bench-201, trained at random before."""
    table = nasbench201.load("cifar10")
    study, rng = nasbench201.Study(table, sampler, 0), np.random.default_rng(0)

    def train(chosen: Chosen[nasbench201.Cell]) -> None:
        row = table.cells.index(chosen.candidate)
        study.begin(chosen)
        study.tell(chosen, row, table.accuracies[row][0])

    for row in rng.permutation(len(table.cells))[:trainings]:
        train(study.random(row))

    def propose() -> Callable[[], None]:
        chosen = study.propose()
        return lambda: train(chosen)

    return _timed(propose, times)


def of_placements(space_file: str, trainings: int, times: int = 5) -> Seconds:
    """For the placements of a space file by its default sampler; accuracies are made up."""
    space = load_space(ROOT / "spaces" / space_file, ())
    storage = optuna.storages.InMemoryStorage()
    ledger = Ledger.create(storage, "made", space.objective_names, space.file.fingerprint)
    latencies = Latencies(space.file.latency, space.file.data.image_size)
    domain = PlacementDomain(space, latencies, lambda: ledger.reference_ms)
    rng, held = np.random.default_rng(0), [space.baseline]
    while len(held) < trainings:
        held += filter(domain.allowed, [domain.choose(Neighbour({}, 0, rng))])

    def train(proposal: Proposal) -> None:
        many = len(proposal.architecture.placements)
        number = ledger.begin(proposal, cost(proposal.architecture, space.file.data.image_size), 1)
        ledger.measured(number, made_latency(1 + 0.1 * many + 0.01 * rng.random()))
        accuracy = 0.4 + 0.01 * rng.normal()
        ledger.epoch(number, [EpochResult(1, accuracy, 0.0, 0.0, 1.0, 0.0, 1.0)])
        ledger.complete(number)

    for architecture in held:
        train(Proposal(architecture))
    proposer = placement_proposer(space, latencies, ledger)

    def propose() -> Callable[[], None]:
        latencies.measured(ledger.trials())
        chosen = proposer.propose(ledger.for_sampler(), set(held))
        held.append(chosen.candidate)
        return lambda: train(Proposal(chosen.candidate))

    return _timed(propose, times)


def _timed(propose: Callable[[], Callable[[], None]], times: int) -> Seconds:
    took = []
    for _ in range(1 + times):
        began = time.perf_counter()
        train = propose()
        took.append(time.perf_counter() - began)
        train()
    first, *others = took
    return float(np.median(others)), first
