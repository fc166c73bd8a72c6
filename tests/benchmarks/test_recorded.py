"""Searches of a table of placements: a made-up one, in the files that the recording writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.record_placements import LATENCIES, architectures, recipe
from benchmarks.recorded import Recordings, read_recordings, recorded_space, search
from models.build import cost
from search.trial import Trial

EPOCHS, SEEDS = recorded_space().file.training.epochs, 2
RECIPE = recipe(recorded_space())


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Fourteen architectures, two trainings of each; the dearer ones tend to be worse, but
    for some."""
    folder, rng = tmp_path_factory.mktemp("table"), np.random.default_rng(0)
    lines, ratios = [], {}
    for number, architecture in enumerate(architectures(recorded_space(), 14)):
        ratios[architecture.architecture_id] = 1 + number / 20
        for seed in range(SEEDS):
            end = 0.6 - number / 50 + 0.2 * (number % 5 == 4) + rng.normal(0, 0.01)
            curve = end * (1 - 0.6 ** np.arange(1, EPOCHS + 1)) + rng.normal(0, 0.005, EPOCHS)
            placements = json.loads(architecture.to_json())["placements"]
            lines.append(
                {
                    "placements": placements,
                    "seed": seed,
                    "recipe": RECIPE,
                    "val_accuracy": curve.tolist(),
                }
            )
    return read_recordings(written(folder, lines, ratios))


def written(folder: Path, lines: list[dict[str, Any]], ratios: dict[str, float]) -> Path:
    path = folder / "table.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / LATENCIES).write_text(json.dumps({"ratios": ratios}), encoding="utf-8")
    return path


def test_a_table_holds_both_trainings(table: Recordings) -> None:
    assert len(table.known) == 14
    assert {each.curves.shape for each in table.known.values()} == {(SEEDS, EPOCHS)}


def test_a_table_is_read_with_the_seeds_that_all_have(tmp_path: Path) -> None:
    ratios, lines = {}, []
    for number, architecture in enumerate(architectures(recorded_space(), 3)):
        ratios[architecture.architecture_id] = 1.0
        placements = json.loads(architecture.to_json())["placements"]
        lines += [
            {
                "placements": placements,
                "seed": seed,
                "recipe": RECIPE,
                "val_accuracy": [seed / 10] * EPOCHS,
            }
            for seed in range(1 + number)
        ]
    read = read_recordings(written(tmp_path, lines, ratios))
    assert {each.curves.shape for each in read.known.values()} == {(1, EPOCHS)}
    assert all((each.curves == 0).all() for each in read.known.values())
    with pytest.raises(ValueError, match="0 seeds"):
        read_recordings(written(tmp_path, [lines[0], *lines[2:]], ratios))
    del ratios[architecture.architecture_id]
    with pytest.raises(ValueError, match="1 architectures without a latency"):
        read_recordings(written(tmp_path, lines, ratios))
    other = [{**line, "recipe": "another"} for line in lines]
    with pytest.raises(ValueError, match="was not recorded with the recipe"):
        read_recordings(written(tmp_path, other, ratios))


def test_regret_is_what_is_lacking_beside_the_plain_backbone(table: Recordings) -> None:
    everything = list(table.known)
    plain, *others = everything
    assert not plain.placements
    assert table.regret(everything) == 0
    assert table.regret([]) == table.regret(others) == table.regret([plain]) == 1
    found = [table.regret(everything[:many]) for many in range(1, 15)]
    assert found == sorted(found, reverse=True)


def test_what_nothing_cheaper_beats_reaches_the_front(table: Recordings) -> None:
    everything = list(table.known)
    plain, *others = everything
    assert table.reaches(plain, others, 0), "nothing is cheaper"
    ends = {each: table.curve(each, 0)[-1] for each in everything}
    for each in others:
        assert table.reaches(each, [plain], 0) == (ends[each] >= ends[plain])
    best = max(others, key=lambda each: ends[each])
    assert table.reaches(best, [each for each in others if each != best], 0)


@pytest.mark.parametrize("sampler", ["ehvi", "tpe", "nsga2", "random", "grid"])
def test_a_search_begins_each_architecture_once(table: Recordings, sampler: str) -> None:
    found = search(table, sampler, "none", 1)
    assert found.begun == len(table.known)
    assert len(found.regrets) == EPOCHS * found.begun
    assert found.regrets == sorted(found.regrets, reverse=True)
    assert found.regrets[-1] == 0
    assert (found.given_up, found.reaching_given_up) == (0, 0)
    assert found == search(table, sampler, "none", 1)


@pytest.mark.parametrize("rule", ["curve", "curve, risk 0.2", "halving"])
def test_early_stopping_saves_epochs_and_what_it_loses_is_counted(
    table: Recordings, rule: str
) -> None:
    whole, found = search(table, "random", "none", 0), search(table, "random", rule, 0)
    assert found.given_up > 0
    assert len(found.regrets) < len(whole.regrets)
    assert found.reaching_given_up <= min(found.given_up, found.reaching)
    assert found.reaching >= whole.reaching, "those given up are in nobody's way"


# Of four, in the order of their costs: the plain backbone, one that is better, a better one still
# that begins badly, and the dearest, which is worse than all.
ENDS = (0.50, 0.60, 0.70, 0.40)
BEGINS = (0.40, 0.50, 0.10, 0.30)


def test_what_is_lost_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a rule that gives up what is below a third in its first epoch."""
    lines, ratios = [], {}
    by_size = sorted(architectures(recorded_space(), 14), key=lambda each: cost(each, 16).params)
    four = [by_size[0], *by_size[-3:]]
    for number, architecture in enumerate(four):
        ratios[architecture.architecture_id] = 1 + number / 20
        curve = [BEGINS[number], *[ENDS[number]] * (EPOCHS - 1)]
        placements = json.loads(architecture.to_json())["placements"]
        line = {"placements": placements, "seed": 0, "recipe": RECIPE, "val_accuracy": curve}
        lines.append(line)
    four_recorded = read_recordings(written(tmp_path, lines, ratios))

    def rule(trial: Trial, *_: object) -> str | None:
        bad = len(trial.curve) == 1 and trial.curve[0].val_accuracy < 1 / 3
        return "bad" if bad and trial.architecture.placements else None

    monkeypatch.setattr("search.verdict.reason_to_stop", rule)
    found = search(four_recorded, "grid", "curve", 0)
    assert (found.begun, found.given_up, len(found.regrets)) == (4, 2, 2 * EPOCHS + 2)
    assert (found.front, found.front_given_up) == (3, 1), "all but the worst, of which the best"
    assert found.reaching == 2, "the plain one has no rival, and the worst does not reach"
    assert found.reaching_given_up == 1
    assert found.regrets[-1] == four_recorded.regret(four[:2]) > 0


def test_a_training_is_drawn_by_the_seed_and_the_architecture(table: Recordings) -> None:
    def drawn(seed: int) -> list[float]:
        return [float(table.curve(architecture, seed)[-1]) for architecture in table.known]

    assert drawn(0) == drawn(0)
    seen = np.array([drawn(seed) for seed in range(10)])
    assert all(len(np.unique(of_one)) == SEEDS for of_one in seen.T)
