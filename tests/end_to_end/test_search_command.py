"""The main job from the command line."""

import json
import re
import shutil
import subprocess
import sys
import time

import optuna
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

COLUMNS = [
    "trial", "state", "name", "reason", "architecture_id", "placements", "val_accuracy",
    "params", "macs", "latency_ms", "epochs", "train_seconds",
]  # fmt: skip


def read(program, name="trials.csv", study="smoke"):
    return pd.read_csv(program.runs / study / "report" / name, keep_default_na=False)


def test_a_search_its_report_and_the_same_command_again(program):
    first = program.run(estimate=True)
    assert first.returncode == 0, first.stderr
    assert "Traceback" not in first.stdout + first.stderr
    estimate, began = first.stdout.splitlines()[:2]
    assert re.match(r"Estimate: about .* for 5 trials .* [\d,.]+ images/s per worker$", estimate)
    assert "began" in began
    trials, front = read(program), read(program, "pareto.csv")
    assert set(COLUMNS) <= set(trials.columns)
    assert len(trials) == 5
    assert list(trials["role"])[:2] == ["baseline", "control"]
    assert trials["architecture_id"].is_unique
    assert set(front["state"]) == {"complete"}
    stopped = set(trials.loc[trials["state"] == "stopped", "trial"])
    assert not stopped & set(front["trial"])
    assert (program.runs / "smoke" / "report" / "pareto.png").stat().st_size > 10_000

    second = program.run(estimate=True)
    assert second.returncode == 0, second.stderr
    assert "Estimate" not in second.stdout
    pd.testing.assert_frame_equal(read(program), trials)

    more = program.run("-o", "search.trials=7")
    assert more.returncode == 0, more.stderr
    grown = read(program)
    pd.testing.assert_frame_equal(grown[:5], trials)
    assert len(grown) == 7
    assert grown["architecture_id"].is_unique


def test_optuna_and_the_reports_command_read_the_study(program):
    assert program.run("-o", "search.trials=3").returncode == 0
    folder = program.runs / "smoke"
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder / 'study.db'}")
    assert study.metric_names == ["val_accuracy", "params", "latency_ms"]
    attributes = study.trials[0].user_attrs
    assert attributes["placements"] == "none"
    assert attributes["worker"]["threads"] == 1
    assert attributes["latency"]["quiet"] is True

    shutil.rmtree(folder / "report")
    code = "import sys; from reports.__main__ import main; c = main(sys.argv[1:]); "
    code += "import json; print(json.dumps([c, 'paddle' in sys.modules, 'ray' in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, False, False]
    assert len(read(program)) == 3


def test_fresh_says_what_it_leaves_behind_and_keeps_it(program):
    assert program.run("-o", "search.trials=2").returncode == 0
    again = program.run("-o", "search.trials=2", "-o", "search.seed=1")
    assert again.returncode == 2
    assert "--fresh" in again.stderr
    assert "--study" in again.stderr
    fresh = program.run("-o", "search.trials=2", "-o", "search.seed=1", "--fresh")
    assert fresh.returncode == 0, fresh.stderr
    (old,) = program.runs.glob("smoke-until-*")
    assert str(old) in fresh.stdout
    assert (old / "study.db").exists()
    assert len(read(program)) == 2


def test_an_over_budget_candidate_is_recorded_and_not_trained(program):
    done = program.run(
        "-o", "objectives.max_params=44900", "-o", "search.trials=4",
        "-o", "search.sampler=random",  # `ehvi` proposes none that is known to be over
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = read(program)
    over = trials[(trials["params"] > 44900) & (trials["role"] == "candidate")]
    assert len(over), "this space must hold candidates over the budget for the test to tell"
    assert set(over["state"]) == {"infeasible"}
    assert set(over["epochs"]) == {0}
    trained = trials[trials["state"].isin(["complete", "stopped", "failed"])]
    assert len(trained) == 4


LISTED = """\
backbone: {width: 0.0625}
data: {image_size: 16, train_images: 256, validation_images: 200}
training: {epochs: 1, batch_size: 64}
objectives: {max_params: 60000}
search: {workers: 2}
finalists: {count: 0}
candidates:
  plain: {}
  se: {all.all.before_add: {se: {reduction: 4}}}
  too deep: {all.all.after_block: residual}
"""


def test_listed_candidates_are_tried_and_one_more_joins_them(program, tmp_path):
    space = tmp_path / "listed.yaml"
    space.write_text(LISTED, encoding="utf-8")
    first = program.run(space=str(space))
    assert first.returncode == 0, first.stderr
    trials = read(program, study="listed")
    assert list(trials["name"]) == ["plain", "", "se", "too deep"]
    assert list(trials["role"]) == ["baseline", "control", "candidate", "candidate"]
    assert list(trials["state"]) == ["complete"] * 3 + ["infeasible"]
    report = (program.runs / "listed" / "report" / "report.md").read_text(encoding="utf-8")
    assert "`se: se(bias=false, reduction=4) in 8 slots`" in report
    assert "`plain: none`" in report

    space.write_text(LISTED + "  simam: {stage2.last.before_add: simam}\n", encoding="utf-8")
    second = program.run(space=str(space))
    assert second.returncode == 0, second.stderr
    grown = read(program, study="listed")
    pd.testing.assert_frame_equal(grown[:4], trials)
    assert list(grown["name"][4:]) == ["simam"]
    assert grown["state"][4] == "complete"


def test_every_trial_fails_is_exit_code_4(program):
    done = program.run("-o", "training.learning_rate=100", "-o", "search.trials=2")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "diverged" in done.stderr
    trials = read(program)
    assert set(trials["state"]) == {"failed"}
    assert trials["reason"].str.contains("diverged").all()


def test_a_mistake_is_answered_before_anything_is_started(program, tmp_path):
    space = tmp_path / "typo.yaml"
    space.write_text("placement:\n  attention:\n    se: {reductoin: 4}\n", encoding="utf-8")
    began = time.monotonic()
    done = program.run(space=str(space))
    seconds = time.monotonic() - began
    assert done.returncode == 2
    assert "typo.yaml:3: placement.attention.se.reductoin" in done.stderr
    assert 'did you mean "reduction"?' in done.stderr
    assert seconds < 5  # 2 on a quiet machine
    assert not program.runs.exists()


def test_the_flagship_runs_on_a_cpu(program):
    done = program.run(
        "-o", "search.trials=2", "-o", "training.epochs=1", "-o", "data.train_images=512",
        "-o", "data.validation_images=500", space="spaces/resnet18.yaml",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = read(program, study="resnet18")
    assert list(trials["state"]) == ["complete", "complete"]
    assert trials["params"][0] == 11_173_962
    assert trials["summary_params"][0] == 11_183_562
