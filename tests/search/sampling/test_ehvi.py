"""The sampler's promises, to Optuna and to those who search with it."""

import pickle
import threading
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from words import DIRECTIONS, LETTERS, Words, accuracy, ask, searched, study_with, trial_of

from search.sampling import ehvi, pool
from search.sampling.belief import Belief
from search.sampling.domain import CONSTRAINTS, COSTS
from search.sampling.ehvi import STARTUP, EHVISampler
from search.sampling.observations import observe
from search.sampling.whole import EXHAUSTED, OVER_BUDGET, GridSampler, NothingLeftError

WORDS = Words()
SIX = ("a", "ba", "cd", "abc", "dda", "bcb")
SAMPLERS = [EHVISampler, GridSampler]


def sampler(words: Words = WORDS, seed: int = 0) -> EHVISampler[str]:
    return EHVISampler(words, seed)


@pytest.fixture(params=["whole", "sampled"])
def anyhow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Domains that are looked at whole, and those that are too large for it."""
    if request.param == "sampled":
        monkeypatch.setattr(pool, "ENUMERATED", 10)
        monkeypatch.setattr(pool, "DRAWN", 40)
    return str(request.param)


# As an Optuna sampler.


@pytest.mark.parametrize("kind", SAMPLERS)
def test_it_works_in_optunas_own_loop(kind: type[EHVISampler[str]]) -> None:
    study = optuna.create_study(directions=DIRECTIONS, sampler=kind(WORDS, 0))

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        word = WORDS.choose(trial)
        if word.endswith("c"):
            raise optuna.TrialPruned
        return (accuracy(word), *WORDS.costs(word))

    study.optimize(objective, n_trials=15)
    words = [WORDS.recall(trial) for trial in study.trials]
    assert len(set(words)) == 15
    for trial in study.trials:
        assert trial.params == WORDS.parameters(WORDS.recall(trial) or "")[0], "nothing else drawn"


@pytest.mark.parametrize("kind", SAMPLERS)
def test_other_parameters_are_drawn(kind: type[EHVISampler[str]]) -> None:
    trial, _ = ask(study_with(kind(WORDS, 0)), WORDS)
    assert 0 <= trial.suggest_float("another", 0, 1) <= 1


@pytest.mark.parametrize("kind", SAMPLERS)
def test_threads_of_one_study_get_different_candidates(kind: type[EHVISampler[str]]) -> None:
    """Each asks for its parameters after all have begun."""
    together = threading.Barrier(4)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        if trial.number < 4:
            together.wait(timeout=60)
        word = WORDS.choose(trial)
        return (accuracy(word), *WORDS.costs(word))

    study = optuna.create_study(directions=DIRECTIONS, sampler=kind(WORDS, 0))
    study.optimize(objective, n_trials=16, n_jobs=4)
    assert len({WORDS.recall(trial) for trial in study.trials}) == 16


def test_those_that_have_not_all_of_their_parameters_yet_are_held() -> None:
    study = study_with(sampler(), [trial_of(WORDS, word) for word in SIX])
    asked = [study.ask() for _ in range(5)]
    for trial in asked:
        trial.suggest_int("length", 1, WORDS.longest)
    assert len({*(WORDS.choose(trial) for trial in asked), *SIX}) == 11


def test_what_another_process_chooses_at_the_same_time_is_not_kept() -> None:
    """Which is seen once one's own choice is noted."""

    class Late(EHVISampler[str]):
        def next_candidate(self, trials: Sequence[FrozenTrial]) -> str:
            found = super().next_candidate(trials)
            if len(trials) == len(SIX):
                study.add_trial(trial_of(WORDS, found, state=TrialState.RUNNING))
            return found

    study = study_with(Late(WORDS, 0), [trial_of(WORDS, word) for word in SIX])
    _, word = ask(study, WORDS)
    assert WORDS.recall(study.trials[-1]) != word
    assert len(study.trials) == len(SIX) + 2


@pytest.mark.parametrize(
    "directions", [["minimize", "minimize", "minimize"], ["maximize"], ["maximize", "maximize"]]
)
def test_other_objectives_are_refused(directions: Sequence[str]) -> None:
    study = optuna.create_study(directions=directions, sampler=sampler())
    with pytest.raises(ValueError, match="an accuracy to be maximized and costs to be minimized"):
        ask(study, WORDS)


@pytest.mark.parametrize("value", [-0.1, 93.1])
def test_what_is_no_fraction_is_no_accuracy(value: float) -> None:
    study = study_with(sampler(), [trial_of(WORDS, word, value) for word in SIX])
    with pytest.raises(ValueError, match="an accuracy is a fraction from 0 to 1, not"):
        ask(study, WORDS)


def test_parameters_that_were_enqueued_are_taken() -> None:
    study = study_with(sampler())
    study.enqueue_trial({"length": 2, "letter0": "d", "letter1": "d"})
    assert ask(study, WORDS)[1] == "dd"


def test_what_is_enqueued_is_not_proposed_before_it_is_asked_for() -> None:
    study = study_with(sampler(), [trial_of(WORDS, word) for word in SIX])
    _, best = ask(study_with(sampler(), study.trials), WORDS)
    study.enqueue_trial(WORDS.parameters(best)[0])
    enqueued = study.ask()
    assert ask(study, WORDS)[1] != best
    assert WORDS.choose(enqueued) == best


def test_parameters_of_no_candidate_say_nothing_of_any() -> None:
    """They are not taken for those that the sampler would have chosen."""
    study = study_with(sampler(), [trial_of(WORDS, word) for word in SIX])
    study.enqueue_trial({"length": 5})
    with pytest.warns(UserWarning, match="out of range"):
        trial, word = ask(study, WORDS)
    study.tell(trial, [0.99, *WORDS.costs(word)])
    assert WORDS.recall(study.trials[-1]) is None
    assert [each.candidate for each in observe(WORDS, study.trials)] == list(SIX)


def test_a_sampler_can_be_kept_by_pickle(anyhow: str) -> None:
    study = study_with(sampler(), [trial_of(WORDS, word) for word in SIX])
    ask(study, WORDS)
    kept = pickle.loads(pickle.dumps(study.sampler))
    assert ask(study_with(kept, study.trials), WORDS)[1] == ask(study, WORDS)[1]


# What it proposes.


def test_nothing_twice_and_all_there_is(anyhow: str) -> None:
    found = searched(WORDS, sampler(), WORDS.size if anyhow == "whole" else 60)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_where_all_was_tried_it_says_so(kind: type[EHVISampler[str]]) -> None:
    tiny = Words(1)
    study = study_with(kind(tiny, 0), [trial_of(tiny, word) for word in LETTERS])
    with pytest.raises(NothingLeftError, match=f"^{EXHAUSTED}$"):
        ask(study, tiny)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_where_the_rest_is_over_budget_it_says_so(kind: type[EHVISampler[str]]) -> None:
    tiny = Words(1, forbidden="d")
    study = study_with(kind(tiny, 0), [trial_of(tiny, word) for word in "abc"])
    with pytest.raises(NothingLeftError, match=f"^{OVER_BUDGET}$"):
        ask(study, tiny)


def test_budgets_are_kept(anyhow: str) -> None:
    """Though what is over them would be best."""
    forbidden = {word for word in WORDS.every() if "b" in word}
    words = Words(forbidden=forbidden)
    assert not forbidden & set(searched(words, sampler(words), 25))


def test_known_costs_are_honoured() -> None:
    """What costs more than a word that is better than all others could but be worse."""
    seen = [trial_of(WORDS, word, 0.5) for word in ("bb", "bc", "cb", "cc", "cd", "dd", "dc")]
    study = study_with(sampler(), [*seen, trial_of(WORDS, "ab", 0.7)])
    _, word = ask(study, WORDS)
    cost, best = WORDS.costs(word), WORDS.costs("ab")
    assert cost[0] < best[0] or cost[1] < best[1], "what costs more could but cost more"


def test_what_costs_most_is_proposed_where_it_is_best() -> None:
    """Words of three letters are the dearest there are, and far better than others."""
    rng = np.random.default_rng(0)
    study = study_with(sampler(), [trial_of(WORDS, w, worth_three(w, rng)) for w in SIX])
    model, lengths = study.sampler, []
    assert isinstance(model, EHVISampler)
    short = sum(len(w) < 3 and w not in SIX for w in WORDS.every())
    for _ in range(short):
        trial, word = ask(study, WORDS)
        lengths.append(len(word))
        assert model.expected_gain is not None
        assert model.expected_gain > 0.001, "much is still to be gained"
        study.tell(trial, [worth_three(word, rng), *WORDS.costs(word)])
    assert lengths.count(3) >= 4, "before there is nothing else"


def worth_three(word: str, rng: np.random.Generator) -> float:
    return 0.5 + 0.2 * (len(word) == 3) + 0.03 * rng.normal()


def test_it_finds_the_best_sooner_than_by_chance() -> None:
    best = max((word for word in WORDS.every()), key=accuracy)
    needed = [searched(WORDS, sampler(seed=s), 84, noise=0.01).index(best) + 1 for s in range(5)]
    assert np.median(needed) < 84 / 4, "by chance half of all"


def test_a_batch_spreads() -> None:
    study = study_with(sampler(), [trial_of(WORDS, word) for word in SIX])
    batch = [ask(study, WORDS)[1] for _ in range(6)]
    assert len(set(batch)) == 6
    alone = study_with(sampler(), [trial_of(WORDS, word) for word in SIX])
    _, first = ask(alone, WORDS)
    assert first == batch[0]
    near = {word for word in WORDS.every() if WORDS.costs(word) == WORDS.costs(first)}
    assert len({WORDS.costs(word) for word in batch}) >= 3, near


@pytest.mark.parametrize("word", ["bb", "bbb", "ab", "c"])
def test_what_runs_is_thought_to_turn_out_as_predicted(word: str) -> None:
    """Others have less to gain beside it; beside what failed as much as without it."""
    gains = {}
    for state in (TrialState.FAIL, TrialState.RUNNING):
        ours = sampler()
        trials = [trial_of(WORDS, w) for w in SIX] + [trial_of(WORDS, word, state=state)]
        ask(study_with(ours, trials), WORDS)
        gains[state] = ours.expected_gain
    assert gains[TrialState.RUNNING] < gains[TrialState.FAIL]


def test_what_became_of_a_trial_is_how_it_counts() -> None:
    complete = [
        trial_of(WORDS, w, v, curve=[v - 0.3, v])
        for w, v in zip(SIX, (0.4, 0.6, 0.5, 0.7, 0.65, 0.45), strict=True)
    ]
    others = [
        trial_of(WORDS, "d", state=TrialState.RUNNING),
        trial_of(WORDS, "dd", state=TrialState.RUNNING, curve=[0.2]),
        trial_of(WORDS, "db", state=TrialState.PRUNED, curve=[0.2]),
        trial_of(WORDS, "dc", state=TrialState.PRUNED),
        trial_of(WORDS, "cc", state=TrialState.FAIL, curve=[0.2]),
    ]
    seen = {each.candidate: each for each in observe(WORDS, [*complete, *others])}
    assert [*seen] == [*SIX, "d", "dd", "db"]
    for word, estimated, contends in (
        ("a", False, True),
        ("d", False, True),
        ("dd", True, True),
        ("db", True, False),
    ):
        each = seen[word]
        assert (each.variance > 0, each.contends) == (estimated, contends), word
    assert seen["d"].loss is None
    assert seen["db"].loss == seen["dd"].loss


def test_few_within_the_budgets_of_a_large_space_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three of 84, where so many draws as usual would mostly find none."""
    monkeypatch.setattr(pool, "ENUMERATED", 10)
    monkeypatch.setattr(pool, "DRAWN", 1)
    monkeypatch.setattr(pool, "IN_VAIN", 3)
    few = {"adc", "bda", "dd"}
    words = Words(forbidden={word for word in WORDS.every() if word not in few})
    study = study_with(sampler(words))
    assert {ask(study, words)[1] for _ in range(3)} == few
    with pytest.raises(NothingLeftError, match=f"^{OVER_BUDGET}$"):
        ask(study, words)


def test_a_front_outlives_a_long_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it dominates is not proposed again when it is no longer among the latest."""
    monkeypatch.setattr(ehvi, "MOST", 12)
    best = trial_of(WORDS, "bb", 0.99)
    others = [trial_of(WORDS, w, 0.3) for w in WORDS.every() if len(w) == 3 and "d" in w]
    kept = ehvi._latest(observe(WORDS, [best, *others]))
    assert kept[0].candidate == "bb"
    assert len(kept) == 12


# The same under the same seed.


def test_the_same_trials_and_seed_propose_the_same(anyhow: str) -> None:
    def found(seed: int) -> list[str]:
        return searched(WORDS, sampler(seed=seed), 14, noise=0.01)

    assert found(0) == found(0)
    assert found(0) != found(1)


def test_a_resumed_study_goes_on_as_if_it_had_not_stopped(anyhow: str) -> None:
    whole = searched(WORDS, sampler(), 24)
    study = study_with(sampler(), [trial_of(WORDS, word) for word in whole[:15]])
    for expected in whole[15:]:
        study.sampler = sampler()  # begun anew for every proposal
        trial, word = ask(study, WORDS)
        assert word == expected
        study.tell(trial, [accuracy(word), *WORDS.costs(word)])


# Little or nothing to learn from.


@pytest.mark.parametrize("complete", range(STARTUP + 2))
def test_from_the_first_trial_on(complete: int) -> None:
    study = study_with(sampler(), [trial_of(WORDS, word) for word in [*SIX, "b"][:complete]])
    model = study.sampler
    assert isinstance(model, EHVISampler)
    assert ask(study, WORDS)[1] not in [*SIX, "b"][:complete]
    assert (model.expected_gain is None) == (complete < STARTUP)


@pytest.mark.parametrize(
    "state", [TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING, TrialState.COMPLETE]
)
def test_whatever_became_of_all(state: TrialState) -> None:
    """All failed, all given up or over budget, all running, and all equal."""
    words = [*SIX, "bb", "cc", "dd"]
    study = study_with(sampler(), [trial_of(WORDS, word, 0.3, state) for word in words])
    for _ in range(3):
        assert ask(study, WORDS)[1] not in words


def test_where_all_are_over_budget_there_is_no_front() -> None:
    over = [trial_of(WORDS, word) for word in SIX]
    for each in over:
        each.system_attrs = {CONSTRAINTS: [0.2]}
    study = study_with(sampler(), over)
    assert ask(study, WORDS)[1] not in SIX


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_accuracies_at_the_ends(value: float) -> None:
    study = study_with(sampler(), [trial_of(WORDS, word, value) for word in SIX])
    assert ask(study, WORDS)[1] not in SIX


def test_a_curve_beside_trials_without_any_says_nothing() -> None:
    complete = [trial_of(WORDS, word) for word in SIX]
    seen = observe(WORDS, [*complete, trial_of(WORDS, "d", state=TrialState.PRUNED, curve=[0.1])])
    assert [each.candidate for each in seen] == list(SIX)


def test_a_space_smaller_than_the_batch() -> None:
    tiny = Words(1)
    study = study_with(sampler(tiny))
    assert sorted(ask(study, tiny)[1] for _ in range(4)) == list(LETTERS)
    with pytest.raises(NothingLeftError):
        ask(study, tiny)


def test_what_was_given_up_is_learned_from() -> None:
    """Words with `a` learn badly in their first epoch and are given up: no more of them."""
    good = [("b", 0.6), ("cb", 0.62), ("bc", 0.61), ("bd", 0.6), ("db", 0.63), ("c", 0.5)]
    curves = [trial_of(WORDS, w, v, curve=[v - 0.3, v]) for w, v in good]
    given_up = [
        trial_of(WORDS, w, state=TrialState.PRUNED, curve=[0.05])
        for w in ("a", "ab", "ba", "aa", "ac", "ca")
    ]
    with_a = []
    for more in ([], given_up):
        study = study_with(sampler(), [*curves, *more])
        with_a.append(sum("a" in ask(study, WORDS)[1] for _ in range(5)))
    assert with_a[1] < with_a[0]


def test_what_is_over_a_budget_is_nobodys_rival() -> None:
    over, within = (trial_of(WORDS, word) for word in ("ab", "ba"))
    over.system_attrs = {CONSTRAINTS: [0.2, -0.1]}
    within.system_attrs = {CONSTRAINTS: [-0.2, -0.1]}
    assert [each.contends for each in observe(WORDS, [over, within])] == [False, True]


def test_costs_are_those_measured_else_those_that_the_domain_predicts() -> None:
    """Values hold what was predicted when the trial began."""
    then, measured = trial_of(WORDS, "ab"), trial_of(WORDS, "ba")
    then.values = [0.5, 9.0, 9.0]
    measured.user_attrs = {COSTS: [2.5, 3.5]}
    costs = [each.costs for each in observe(WORDS, [then, measured])]
    assert costs == [WORDS.costs("ab"), (2.5, 3.5)]


def test_parameters_are_chosen_anew_by_what_was_trained_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a curve leads to expect changes with every other that ends; that is no reason."""
    chosen = []

    def belief(domain: Words, vocabulary: object, seen: Sequence, *parameters: object) -> Belief:
        if not any(parameters):
            chosen.append(len(seen))
        return Belief(domain, vocabulary, seen, *parameters)

    monkeypatch.setattr(ehvi, "Belief", belief)
    rng = np.random.default_rng(0)
    words = [word for word in WORDS.every() if len(word) == 3]
    trials = [trial_of(WORDS, w, 0.5, curve=(0.3 + 0.1 * rng.random(), 0.5)) for w in words[:42]]
    cut = [trial_of(WORDS, w, state=TrialState.PRUNED, curve=(0.3,)) for w in words[42:50]]
    ours = sampler()
    for many in (39, 40, 41):
        ask(study_with(ours, [*trials[:many], *cut]), WORDS)
    assert chosen == [38]
