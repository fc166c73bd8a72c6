"""The proposer's contract, for every sampler: new, legal, reproducible, and all there is."""

import itertools
from collections.abc import Callable, Collection, Iterator

import optuna
import pytest
from simulated import (
    TINY,
    Executor,
    epoch,
    make_driver,
    make_space,
    memory_ledger,
)

from benchmarks.made_latencies import made_latency
from models.architecture import Architecture
from models.build import check, cost
from search.candidates import choose, count_sampled, every_architecture
from search.latencies import Latencies
from search.ledger import Ledger, Proposal
from search.placements import PlacementDomain
from search.proposer import Chosen, Proposer, _telling
from search.samplers import KINDS
from search.sampling.whole import OVER_BUDGET, NothingLeftError
from search.space import Space
from search.trial import Role
from trainers.messages import Failed

SAMPLERS = tuple(KINDS)
FATES = ("running", "complete", "failed", "stopped", "slow")


def enter(ledger: Ledger, proposal: Proposal) -> int:
    return ledger.begin(proposal, cost(proposal.architecture, 16), epochs=3)


def end(ledger: Ledger, number: int, fate: str) -> None:
    if fate == "running":
        return
    ledger.measured(number, made_latency(1.0 + number))
    ledger.epoch(number, [epoch(1, 1 / (1 + number))])
    if fate == "complete":
        ledger.complete(number)
    elif fate == "failed":
        ledger.fail(number, Failed("no"))
    elif fate == "stopped":
        ledger.stop(number, "enough")
    else:
        ledger.infeasible(number, {"max_latency_ms": 2.0})


def proposing(
    space: Space, ledger: Ledger, held: Collection[Architecture] = ()
) -> Callable[[], Proposal]:
    """What a driver does with a proposer; `held` is held beside what the ledger holds."""
    latencies = Latencies(space.file.latency, space.file.data.image_size)
    domain = PlacementDomain(space, latencies, lambda: ledger.reference_ms)
    search = space.file.search
    directions = ledger.study.directions
    proposer = Proposer(domain, search.sampler, directions, space.trials, search.seed)

    def propose() -> Proposal:
        trials = ledger.trials()
        latencies.measured(trials)
        tried = {*held, *(trial.architecture for trial in trials)}
        chosen = proposer.propose(ledger.for_sampler(), tried)
        return Proposal(
            chosen.candidate,
            parameters=chosen.parameters,
            distributions=chosen.distributions,
            system_attributes=chosen.system_attributes,
        )

    return propose


def proposals(
    space: Space, ledger: Ledger, wanted: int, fates: tuple[str, ...] = FATES
) -> list[Proposal]:
    """What a new proposer proposes, one after another, each meeting the next of the fates."""
    propose, made = proposing(space, ledger), []
    for index in range(wanted):
        try:
            proposal = propose()
        except NothingLeftError:
            break
        made.append(proposal)
        end(ledger, enter(ledger, proposal), fates[index % len(fates)])
    return made


def ids(made: list[Proposal]) -> list[str]:
    return [proposal.architecture.architecture_id for proposal in made]


@pytest.fixture(params=SAMPLERS)
def small(request: pytest.FixtureRequest) -> Space:
    return make_space(f"search.sampler={request.param}")


@pytest.mark.parametrize("fates", [FATES, ("failed",), ("slow",), ("complete",), ("running",)])
def test_new_and_legal_whatever_became_of_the_others(small: Space, fates: tuple[str, ...]) -> None:
    made = proposals(small, memory_ledger(small), 15, fates)
    assert len(set(ids(made))) == 15
    everything = set(every_architecture(small))
    for proposal in made:
        check(proposal.architecture, small.file.data.image_size)
        assert proposal.architecture in everything
        assert proposal.role is Role.CANDIDATE


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("fates", [FATES, ("slow",)])
def test_a_small_space_is_exhausted_exactly(sampler: str, fates: tuple[str, ...]) -> None:
    tiny = make_space(*TINY, f"search.sampler={sampler}")
    ledger = memory_ledger(tiny)
    made = proposals(tiny, ledger, 50, fates)
    assert len(made) == count_sampled(tiny) == 4
    assert {proposal.architecture for proposal in made} == {*every_architecture(tiny)} - {
        tiny.baseline
    }
    with pytest.raises(NothingLeftError):
        proposing(tiny, ledger)()


def test_the_same_under_the_same_seed(small: Space) -> None:
    first, second = (ids(proposals(small, memory_ledger(small), 12)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_others_under_another_seed(sampler: str) -> None:
    small = make_space(f"search.sampler={sampler}")
    other = make_space(f"search.sampler={sampler}", "search.seed=1")
    assert ids(proposals(small, memory_ledger(small), 6)) != ids(
        proposals(other, memory_ledger(other), 6)
    )


def test_parameters_are_the_architecture(small: Space) -> None:
    for proposal in proposals(small, memory_ledger(small), 10):
        assert proposal.parameters.keys() == proposal.distributions.keys()
        again = choose(small, optuna.trial.FixedTrial(dict(proposal.parameters)))
        assert again == proposal.architecture


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_cheapest_baseline_does_not_take_the_sampler_in(
    monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    """It is on every front, and a sampler that can propose it proposes nothing else."""
    space = make_space(f"search.sampler={sampler}")
    executor = Executor(make_driver(space, memory_ledger(space)))
    asked: list[Architecture] = []
    original = Proposer._proposals

    def proposals(self: Proposer, *given: object) -> Iterator[Chosen]:
        for chosen in original(self, *given):
            asked.append(chosen.candidate)
            yield chosen

    monkeypatch.setattr(Proposer, "_proposals", proposals)
    executor.run()
    assert asked
    assert all(architecture.placements for architecture in asked)


def test_of_many_trials_the_front_and_the_latest_are_shown() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials(
        [optuna.trial.create_trial(values=values) for values in ((9, 9), (1, 9), (5, 5), (2, 9))]
    )
    shown = {most: [t.number for t in _telling(study.trials, study, most)] for most in range(6)}
    assert shown == {0: [], 1: [2], 2: [0, 2], 3: [0, 2, 3], 4: [0, 1, 2, 3], 5: [0, 1, 2, 3]}


def test_a_resumed_search_does_not_repeat(small: Space) -> None:
    ledger = memory_ledger(small)
    first = proposals(small, ledger, 8)
    second = proposals(small, ledger, 8)
    third = proposals(small, ledger, 8)
    assert len(set(ids(first + second + third))) == 24
    fresh = proposals(small, memory_ledger(small), 8)
    assert ids(second) != ids(fresh), "the draws do not begin anew"


def test_asking_in_vain_leaves_no_trace(small: Space) -> None:
    ledger = memory_ledger(small)
    held = set(every_architecture(small))
    *_, last = every_architecture(small)
    assert proposing(small, ledger, held - {last})().architecture == last
    with pytest.raises(NothingLeftError):
        proposing(small, ledger, held)()
    assert ledger.study.trials == []


@pytest.mark.parametrize("sampler", ["ehvi", "tpe"])
def test_the_sampler_learns_from_results(sampler: str) -> None:
    """Where everything with `se` is bad, fewer are proposed than by chance."""

    def share_of_se(sampler: str) -> float:
        wide = make_space(
            f"search.sampler={sampler}",
            "objectives.minimize=[latency_ms]",
            "placement={at_most: 1, attention: {se: {reduction: [1, 2, 4], bias: [true, false]}, "
            "gc: {ratio: [0.5, 1.0, 2.0], fusion: [add, mul]}}}",
        )
        ledger = memory_ledger(wide)
        propose = proposing(wide, ledger)
        names = []
        for _ in range(22):
            proposal = propose()
            name = "".join(p.block.name for p in proposal.architecture.placements)
            names.append(name)
            number = enter(ledger, proposal)
            ledger.measured(number, made_latency(2.0 if name == "se" else 1.0))
            ledger.epoch(number, [epoch(1, 0.1 if name == "se" else 0.9)])
            ledger.complete(number)
        return names[10:].count("se") / len(names[10:])

    assert share_of_se(sampler) < 0.5 * share_of_se("random")


@pytest.mark.parametrize("sampler", ["ehvi", "grid"])
def test_the_few_that_a_budget_leaves_of_very_many_are_found(
    sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.sampling.pool.DRAWN", 2)  # at random hardly any is found
    space = make_space(
        "placement.at_most=12", "placement.stages=[1, 2, 3, 4]", "placement.blocks=[1, 2]"
    )
    plain, size = cost(space.baseline, 16).params, count_sampled(space)
    singles = itertools.takewhile(lambda each: len(each.placements) < 2, every_architecture(space))
    added = {each: cost(each, 16).params - plain for each in singles if each.placements}
    cheapest = {each for each in added if added[each] <= sorted(added.values())[2]}
    most = plain + max(added[each] for each in cheapest)
    tight = make_space(
        "placement.at_most=12",
        "placement.stages=[1, 2, 3, 4]",
        "placement.blocks=[1, 2]",
        f"objectives.max_params={most}",
        f"search.sampler={sampler}",
    )
    assert size > 10**9
    ledger = memory_ledger(tight)
    propose, found = proposing(tight, ledger), set()
    with pytest.raises(NothingLeftError, match=OVER_BUDGET):
        while True:
            proposal = propose()
            end(ledger, enter(ledger, proposal), "complete")
            found.add(proposal.architecture)
    assert cheapest <= found
    assert all(cost(each, 16).params <= most for each in found)
