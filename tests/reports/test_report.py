import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from example_study import (
    BRIDGE,
    EPOCHS,
    GC,
    GOLDEN,
    GOLDEN_FILES,
    IMAGES,
    OBJECTIVES,
    RESIDUAL,
    SE,
    SPACE,
    architecture,
    latency,
    trial,
)

from models.errors import StorageError
from reports.__main__ import main
from reports.answer import noise_sentence
from reports.markdown import report
from reports.study import Study
from reports.write import write_report
from search.ledger import Ledger
from search.trial import Role, State, Trial

ROOT = Path(__file__).parents[2]
BASELINE = trial(0, 0.90, role=Role.BASELINE, placed=architecture(), params=11_000_000)
CONTROL = trial(1, 0.90, role=Role.CONTROL, placed=RESIDUAL, params=12_000_000, latency_ms=12)


def study(*trials: Trial) -> Study:
    return Study("study", OBJECTIVES, trials, SPACE)


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_report_is_the_golden_one(written: Path, name: str) -> None:
    golden = (GOLDEN / name).read_text(encoding="utf-8")
    assert (written / name).read_text(encoding="utf-8") == golden


def test_report_lies_in_the_run_folder_with_nothing_else(example_run: Path, written: Path) -> None:
    assert written == example_run / "report"
    names = {path.name for path in written.iterdir()}
    assert names == {
        *GOLDEN_FILES, "report.html", "pareto.png", "pareto.svg", "plots", "trials.parquet",
        "pareto.parquet", "effects.parquet", "curves.parquet",
    }  # fmt: skip
    plots = {path.name for path in (written / "plots").iterdir()}
    assert plots == {
        f"{name}.{kind}"
        for name in (
            "front-parameters", "front-latency", "front-macs", "learning-curves",
            "hypervolume-trials", "hypervolume-time",
        )
        for kind in ("png", "svg")
    }  # fmt: skip


def test_front_file_holds_complete_trials_only(written: Path) -> None:
    lines = (written / "pareto.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == 4  # without the dominated trial
    assert all(",complete," in line for line in lines)


def test_gains_within_noise_are_called_so() -> None:
    text = report(study(BASELINE, CONTROL, trial(2, 0.905)))
    assert "No gain over the baseline is larger than the noise of 5,000 validation images" in text
    assert "+0.50 ± 1.16 points, within noise" in text


def test_a_real_gain_is_called_so() -> None:
    text = report(study(BASELINE, CONTROL, trial(2, 0.95)))
    assert "All gains over the baseline exceed the noise" in text
    assert "As far as one seed can tell it is the attention" in text


@pytest.mark.parametrize(
    ("control", "params", "verdict"),
    [
        (0.949, 11_400_000, "with no more than twice the added parameters (400,000 against the"),
        (0.949, 11_100_000, "with fewer added parameters (100,000 against the 200,000 of trial 2)"),
        (0.949, 11_500_000, "but adds 2.5 times the parameters (500,000 against the 200,000 of"),
        (0.949, 31_000_000, "but adds 100 times the parameters (20,000,000 against"),
        (0.990, 12_000_000, "more parameters alone (it adds 1,000,000 against the 200,000"),
        (
            0.900,
            12_000_000,
            "it is the attention: more parameters alone (the control adds 1,000,000",
        ),
        (0.900, 11_000_001, "the control adds fewer parameters (1 against the 200,000 of trial 2)"),
    ],
)
def test_control_is_weighed_against_the_best(control: float, params: int, verdict: str) -> None:
    residual = trial(1, control, role=Role.CONTROL, placed=RESIDUAL, params=params, latency_ms=20.0)
    text = report(study(BASELINE, residual, trial(2, 0.95)))
    assert verdict in text
    alone = control == 0.949 and params <= 11_400_000
    assert ("parameters alone may explain the gain" in text) == alone


@pytest.mark.parametrize(
    ("best", "words"),
    [
        (0.905, "no gain to explain: that of trial 2 over the baseline is within noise"),
        (0.900, "no gain to explain: trial 2 gained nothing"),
        (0.800, "no gain to explain: trial 2 gained nothing"),
    ],
)
def test_where_nothing_is_gained_the_control_explains_nothing(best: float, words: str) -> None:
    text = report(study(BASELINE, CONTROL, trial(2, best, latency_ms=5.0)))
    assert words in text
    assert "explain the gain" not in text


def test_a_block_without_parameters_is_weighed_too() -> None:
    text = report(
        study(BASELINE, trial(1, 0.95, role=Role.CONTROL), trial(2, 0.95, params=11_000_000))
    )
    assert "but adds parameters where the candidate adds none (200,000 against the 0 of" in text


def test_a_control_without_a_baseline_says_nothing_of_gains() -> None:
    text = report(study(CONTROL, trial(2, 0.95)))
    assert "No fully trained baseline" in text
    assert "Without a baseline there is no gain to explain." in text


@pytest.mark.parametrize(
    ("accuracies", "sentence"),
    [
        ((0.95, 0.94), "All gains over the baseline exceed the noise of 5,000 validation images."),
        ((0.905, 0.895), "No gain over the baseline is larger than the noise of 5,000"),
        (
            (0.95, 0.905, 0.904),
            "Of the front's 3 candidates, 1 gained against the baseline by more than the noise of "
            "5,000 validation images; the other 2 are within noise.",
        ),
        (
            (0.95, 0.905, 0.80),
            "Of the front's 3 candidates, 1 gained and 1 lost against the baseline by more than "
            "the noise of 5,000 validation images; the other is within noise.",
        ),
        (
            (0.95, 0.80),
            "Of the front's 2 candidates, 1 gained and 1 lost against the baseline by more than "
            "the noise of 5,000 validation images.",
        ),
        (
            (0.905, 0.80),
            "Of the front's 2 candidates, 1 lost against the baseline by more than the noise of "
            "5,000 validation images; the other is within noise: this study does not show that "
            "attention helps.",
        ),
        (
            (0.80, 0.70),
            "Every candidate on the front is below the baseline by more than the noise of 5,000 "
            "validation images: this study does not show that attention helps.",
        ),
        ((), ""),
    ],
)
def test_gains_and_losses_in_one_sentence(accuracies: tuple[float, ...], sentence: str) -> None:
    candidates = [
        trial(number, accuracy, latency_ms=9.0 - number)
        for number, accuracy in enumerate(accuracies, start=2)
    ]
    text = noise_sentence([BASELINE, *candidates], OBJECTIVES, IMAGES)
    assert text.startswith(sentence)
    assert bool(text) == bool(sentence)
    assert noise_sentence(candidates, OBJECTIVES, IMAGES) == ""


def test_a_loss_is_no_noise() -> None:
    text = report(study(BASELINE, CONTROL, trial(2, 0.80, latency_ms=5.0)))
    assert "**Most accurate candidate:** trial 2" in text
    assert "Over the baseline: -10.00 ± 1.39 points, a loss beyond noise;" in text


def test_latencies_that_cannot_be_true_are_named() -> None:
    faster = (
        trial(2, 0.95, latency_ms=9.0),
        trial(3, 0.2, state=State.STOPPED, latency_ms=9.9),
        trial(4, state=State.FAILED, latency_ms=1.0),
    )
    text = report(study(BASELINE, CONTROL, *faster))
    assert "- 2 networks that contain the baseline measured faster than it, by up to 10.0 %" in text
    assert "- 1 network that contains the baseline measured faster" in report(
        study(BASELINE, faster[0])
    )
    for trials in ((BASELINE, CONTROL, faster[2]), faster, ()):
        assert "measured faster" not in report(study(*trials))


def test_latencies_of_the_front_have_their_interval_and_p90() -> None:
    assert "| 10.0 ms ± 0.4 % (p90 12.5) |" in report(study(BASELINE))


def test_dominated_candidates_are_listed_by_accuracy() -> None:
    low, high = trial(3, 0.91, latency_ms=11.0), trial(4, 0.92, latency_ms=11.0)
    text = report(study(BASELINE, CONTROL, trial(2, 0.95), low, high))
    table = text.partition("### Fully trained, not on the front")[2].partition("##")[0]
    assert [line.split(" ")[1] for line in table.splitlines() if line.startswith("| ")][1:] == [
        "4", "3",
    ]  # fmt: skip
    assert "| 92.00 % | +2.00 ± 1.12 | 11,200,000 | 11.0 ms |" in table


def test_command_and_folder_are_repeated_as_given() -> None:
    plain = study(BASELINE)
    assert "raise `search.trials` in the space file" in report(plain)
    known = dataclasses.replace(
        plain,
        command="python run_search.py a.yaml",
        folder=Path("/data/my runs/a"),
        search={"trials": 24},
    )
    text = report(known)
    assert "- **Command:** `python run_search.py a.yaml`" in text
    assert "run the same command with `-o search.trials=48` (now 24)" in text
    assert "`optuna-dashboard 'sqlite:////data/my runs/a/study.db'`" in text


def test_cheapest_picks_are_above_the_baseline() -> None:
    small_but_worse = trial(2, 0.80, placed=GC, params=1_000_000, latency_ms=5.0)
    small = trial(3, 0.93, placed=BRIDGE, params=11_100_000, latency_ms=12.0)
    fast = trial(4, 0.94, placed=SE, params=11_300_000, latency_ms=10.5)
    text = report(study(BASELINE, small_but_worse, small, fast))
    assert "**Most accurate, fastest and best balanced:** trial 4" in text
    assert "**Fewest parameters above the baseline:** trial 3" in text


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        ((), "No candidate has been fully trained yet"),
        ((BASELINE,), "No candidate has been fully trained yet"),
        ((trial(2, 0.9),), "No fully trained baseline"),
        ((BASELINE, trial(2, 0.8, latency_ms=20.0)), "No candidate is on the front"),
        ((trial(2, state=State.RUNNING, latency_ms=None),), "1 not ended"),
        ((BASELINE, trial(2, 0.95)), "No control was fully trained"),
    ],
)
def test_degenerate_studies_have_a_report(trials: tuple[Trial, ...], words: str) -> None:
    assert words in report(study(*trials))


def test_over_budget_baseline_is_beside_the_front_and_says_why() -> None:
    heavy = dataclasses.replace(BASELINE, over_budget=(("max_latency_ms", 1.25),))
    text = report(study(heavy, trial(2, 0.8, latency_ms=20.0)))
    assert "(not on the front: 1.25 times max_latency_ms)" in text


def test_reasons_cannot_break_the_table() -> None:
    text = report(study(trial(0, 0.1, state=State.FAILED, reason="a | b\n# title <b>")))
    assert "| a \\| b # title &lt;b> |" in text


@pytest.mark.parametrize("placement", [{"placement": None}, {}])
def test_a_study_of_listed_candidates(placement: dict[str, None]) -> None:
    space = {key: value for key, value in SPACE.items() if key != "placement"} | placement
    everywhere = architecture(*(f"stage{s}.block1.before_add=se(reduction=4)" for s in (1, 2, 3)))
    trials = (
        dataclasses.replace(BASELINE, name="plain"),
        dataclasses.replace(CONTROL, name="more depth"),
        trial(2, 0.95, placed=everywhere, name="SE everywhere"),
        trial(3, 0.94, placed=GC, name="gc", latency_ms=20.0),
        trial(4, state=State.FAILED, placed=BRIDGE, name="bridge", reason="no"),
    )
    text = report(Study("study", OBJECTIVES, trials, space))
    assert (
        "**Most accurate, fewest parameters and fastest:** trial 2, `SE everywhere: se(reduction=4)"
        " in 3 slots`: 95.00 %" in text
    )
    assert "The control (trial 1, `more depth: stage4.block2.after_add=residual`" in text
    assert "| ★ baseline | `plain: none` |" in text
    assert "`gc: stage3.block2.before_add=gc(" in text
    assert "| 4 | `bridge: stage4.block1.before_add=bridge(reduction=16)` |" in text


def test_space_without_optional_parts() -> None:
    bare = Study("bare", OBJECTIVES, (trial(0, 0.9),), {"data": {"validation_images": IMAGES}})
    assert "search.trials" in report(bare)


@pytest.mark.parametrize(
    ("quiet", "words"),
    [
        ((True, True), "measured while this program's other trainings on the machine were held"),
        ((True, False), "measured in 1 of 2 trials while"),
        ((False, False), "measured while other trainings ran on the machine"),
    ],
)
def test_report_says_what_ran_beside_the_latency(quiet: tuple[bool, ...], words: str) -> None:
    trials = [
        dataclasses.replace(
            trial(number, 0.9), latency=dataclasses.replace(latency(10.0), quiet=held_off)
        )
        for number, held_off in enumerate(quiet)
    ]
    assert words in report(study(*trials))


def test_epochs_of_the_space() -> None:
    assert study(BASELINE).epochs == EPOCHS
    assert study().epochs is None
    assert study().seed == 0


def test_report_command_needs_no_paddle_and_no_ray(example_run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(example_run, tmp_path / "copy")
    program = (
        "import sys\n"
        "from reports.__main__ import main\n"
        f"assert main([{str(folder)!r}]) == 0\n"
        "print([m for m in ('paddle', 'ray', 'torch', 'IPython') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == f"Report: {folder / 'report' / 'report.html'}\n[]\n"


def test_errors_are_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "there is no study here" in capsys.readouterr().err
    (tmp_path / "study.db").write_bytes(b"no database at all")
    assert main([str(tmp_path)]) == StorageError.exit_code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    Ledger.open(tmp_path, OBJECTIVES, SPACE)
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(tmp_path)


def test_an_empty_study_has_a_report(tmp_path: Path) -> None:
    Ledger.open(tmp_path, OBJECTIVES, SPACE)
    folder = write_report(tmp_path)
    assert (folder / "pareto.csv").read_text(encoding="utf-8").count("\n") == 1
    assert (folder / "pareto.png").stat().st_size > 10_000
