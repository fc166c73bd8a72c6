"""What a report says of inherited weights, and where the trainings that check them are left out."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from example_study import (
    EPOCHS,
    GC,
    IMAGES,
    OBJECTIVES,
    RESIDUAL,
    SE,
    SPACE,
    add,
    architecture,
    trial,
)
from rich.console import Console

from models.architecture import Architecture, Backbone
from reports.figures import draw
from reports.live_view import LiveView
from reports.markdown import report
from reports.order import spearman
from reports.plain_view import PlainView
from reports.progress import Progress, ViewSettings
from reports.result import print_result
from reports.study import Study
from reports.warm_start import inherits, warm_start, warning
from reports.write import write_report
from search.ledger import Ledger
from search.trial import Role, State, Trial

PLAIN = architecture()
PLACED = [architecture(f"stage{s}.block{b}.before_add=se") for s in (1, 2, 3, 4) for b in (1, 2)]
SCRATCH_EPOCHS = 10
WITHOUT_LATENCY = OBJECTIVES[:2]  # which is never measured of trainings from scratch


def warm_space(start: str = "baseline") -> dict[str, Any]:
    return SPACE | {"training": SPACE["training"] | {"start": start}}


def cold(number: int, accuracy: float, placed: Architecture, role: Role = Role.CHECK) -> Trial:
    made = trial(number, accuracy, role=role, placed=placed, latency_ms=None)
    return dataclasses.replace(made, epochs=SCRATCH_EPOCHS)


def study(pairs: list[tuple[float, float]], start: str = "baseline", **more: Any) -> Study:
    """Accuracies of the same architecture, inherited and from scratch; the first: the baseline."""
    placed = [PLAIN, *PLACED][: len(pairs)]
    roles = [Role.BASELINE] + [Role.CANDIDATE] * len(PLACED)
    warm = [
        trial(number, accuracy, role=role, placed=at)
        for number, ((accuracy, _), role, at) in enumerate(
            zip(pairs, roles, placed, strict=False), start=1
        )
    ]
    origins = [Role.ORIGIN] + [Role.CHECK] * len(PLACED)
    scratch = [
        cold(50 + number, accuracy, at, role)
        for number, ((_, accuracy), role, at) in enumerate(
            zip(pairs, origins, placed, strict=False)
        )
    ]
    given = {"scratch": tuple(scratch)} | more
    return Study("study", OBJECTIVES, tuple(warm), warm_space(start), **given)


AGREEING = [(0.80 + n / 100, 0.90 + n / 200) for n in range(6)]
OPPOSITE = [(0.80 + n / 100, 0.95 - n / 200) for n in range(6)]


def answer(shown: Study) -> str:
    return report(shown).partition("## Answer")[2].partition("![")[0]


def section(shown: Study) -> str:
    return report(shown).partition("## Warm starts")[2].partition("\n## ")[0]


# What is said.


def test_orders_that_agree_are_not_doubted() -> None:
    shown = study(AGREEING)
    assert warning(shown) == ""
    text = section(shown)
    assert text.startswith(
        f"\n\nEvery trial inherits the baseline's weights and is trained for {EPOCHS} epochs, "
        f"{SCRATCH_EPOCHS} from scratch.\n"
    )
    assert "Warm and cold order of 6 architectures: Spearman's ρ 1.00 (" in text
    assert "to 1.00), Kendall's τ 1.00 (" in text
    for words in ("Doubtful", "Not checked"):
        assert words not in report(shown)


def test_orders_that_differ_are_doubted_in_the_section_and_below_the_answer() -> None:
    shown = study(OPPOSITE)
    assert warning(shown).startswith("**Doubtful:** candidates inherit trained weights, and on 6 ")
    assert "the order is another (Spearman's ρ -1.00 (-1.00 to " in warning(shown)
    assert "`training.start: scratch`" in warning(shown)
    assert answer(shown).rstrip().endswith(warning(shown))
    assert warning(shown) in section(shown)


@pytest.mark.parametrize(("swapped", "doubted"), [((4, 5), False), ((0, 5), True)])
def test_the_doubt_begins_below_a_rank_correlation_of_seven_tenths(
    swapped: tuple[int, int], doubted: bool
) -> None:
    """One swap of neighbours leaves ρ at 0.94, that of the best and the worst takes it to −0.43."""
    first, second = swapped
    cold_order = [accuracy for _, accuracy in AGREEING]
    cold_order[first], cold_order[second] = cold_order[second], cold_order[first]
    order = spearman([warm for warm, _ in AGREEING], cold_order)
    assert order is not None
    assert (order.value < 0.7) is doubted
    shown = study([(warm, now) for (warm, _), now in zip(AGREEING, cold_order, strict=True)])
    assert ("Doubtful" in answer(shown)) is doubted
    assert ("Doubtful" in section(shown)) is doubted


@pytest.mark.parametrize("many", [1, 2, 3])
def test_too_few_trained_both_ways_check_nothing(many: int) -> None:
    shown = study(AGREEING[:many])
    words = "**Not checked:** candidates inherit trained weights, and too few were trained from"
    assert words in section(shown)
    assert words in answer(shown)
    assert "Spearman" not in report(shown)
    assert section(shown).count("\n| ") == 1 + many, "the head, and those that there are"


def test_nothing_trained_from_scratch_checks_nothing() -> None:
    shown = study(AGREEING, scratch=())
    assert "is trained for 2 epochs.\n" in section(shown)
    assert "**Not checked:**" in answer(shown)
    assert "| trial | placements | accuracy, inherited" not in report(shown)


def test_equal_accuracies_have_no_order_to_check() -> None:
    """Without a warning of SciPy's, and without the false reason that there are too few."""
    shown = study([(0.1, accuracy) for _, accuracy in AGREEING])
    assert "**Not checked:**" in answer(shown)
    assert "those trained both ways are all equally accurate in one, which" in section(shown)
    assert "too few" not in answer(shown) + section(shown)


def test_four_pairs_have_a_rho_and_no_tau() -> None:
    text = section(study(AGREEING[:4]))
    assert "Warm and cold order of 4 architectures: Spearman's ρ 1.00" in text
    assert "Kendall" not in text


@pytest.mark.parametrize("training", [{}, {"start": "scratch"}])
def test_a_study_from_scratch_says_nothing_of_warm_starts(training: dict[str, str]) -> None:
    space = SPACE | {"training": SPACE["training"] | training}
    shown = dataclasses.replace(study(OPPOSITE), space=space)
    assert not inherits(shown)
    assert warm_start(shown) == []
    assert warning(shown) == ""
    for words in ("Warm starts", "inherit", "Doubtful", "Not checked"):
        assert words not in report(shown)


def test_a_space_that_does_not_say_how_it_trains_is_from_scratch() -> None:
    bare = Study("bare", OBJECTIVES, (trial(0, 0.9),), {"data": {"validation_images": IMAGES}})
    assert not inherits(bare)
    assert warm_start(bare) == []


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("paddle", "inherits weights (`paddle`)"),
        ("/data/my weights.pdparams", "inherits weights (`/data/my weights.pdparams`)"),
        ("a`b.safetensors", "inherits weights (`` a`b.safetensors ``)"),
    ],
)
def test_where_the_weights_come_from(start: str, words: str) -> None:
    assert words in section(study(AGREEING, start))


# The table.


def test_the_table_holds_both_trainings_the_best_inherited_first() -> None:
    shown = study(AGREEING[:4])
    lines = [line for line in section(shown).splitlines() if line.startswith("|")]
    assert lines == [
        "| trial | placements | accuracy, inherited | accuracy, from scratch |",
        "|---:|---|---:|---:|",
        "| 4, 53 | `stage2.block1.before_add=se` | 83.00 % | 91.50 % |",
        "| 3, 52 | `stage1.block2.before_add=se` | 82.00 % | 91.00 % |",
        "| 2, 51 | `stage1.block1.before_add=se` | 81.00 % | 90.50 % |",
        "| 1, 50 | ★ `none` | 80.00 % | 90.00 % |",
    ]


@pytest.mark.parametrize("state", [State.STOPPED, State.FAILED, State.RUNNING])
def test_only_what_was_fully_trained_both_ways_is_compared(state: State) -> None:
    shown = study(AGREEING)
    warm, scratch = list(shown.trials), list(shown.scratch)
    warm[1] = dataclasses.replace(warm[1], state=state)
    scratch[2] = dataclasses.replace(scratch[2], state=state)
    alone = cold(99, 0.99, architecture("stage4.block2.before_add=simam"))
    left = dataclasses.replace(shown, trials=tuple(warm), scratch=(*scratch, alone))
    text = section(left)
    assert "order of 4 architectures" in text
    for number in (2, 3, 51, 52, 99):
        assert f"| {number}," not in text
        assert f", {number} |" not in text


def test_names_are_shown_and_cannot_break_a_table() -> None:
    shown = study(AGREEING)
    first, *others = shown.trials
    named = dataclasses.replace(others[-1], name="a|b: global")
    beaten = dataclasses.replace(others[0], name="c|d", latency_ms=99.0)
    stopped = trial(70, 0.5, state=State.STOPPED, placed=GC, name="e|f")
    trials = (first, beaten, *others[1:-1], named, stopped)
    text = report(dataclasses.replace(shown, trials=trials))
    assert "| 6, 55 | `a\\|b: global: stage3.block1.before_add=se` | 85.00 % |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for name in ("a\\|b", "c\\|d", "e\\|f"):
        assert any(f"`{name}: " in row for row in rows)
    columns: list[int] = []
    for line in text.splitlines():
        cells = line.replace("\\|", "").count("|")
        columns = [*columns, cells] if line.startswith("|") else []
        assert len(set(columns)) <= 1, line


# Where the trainings that check are left out, and where not.


@pytest.fixture(scope="module")
def warm_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study on disk whose trainings from scratch would be the front, were they on it."""
    folder = tmp_path_factory.mktemp("warm")
    ledger = Ledger.open(folder, OBJECTIVES, warm_space())
    for placed, params, latency_ms, accuracy, role in (
        (Architecture(Backbone()), 11_000_000, None, 0.98, Role.ORIGIN),
        (Architecture(Backbone()), 11_000_000, 10.0, 0.90, Role.BASELINE),
        (RESIDUAL, 11_500_000, 11.0, 0.91, Role.CONTROL),
        (SE, 11_200_000, 10.4, 0.92, Role.CANDIDATE),
        (GC, 11_240_000, 10.9, 0.93, Role.CANDIDATE),
        (SE, 11_200_000, None, 0.97, Role.CHECK),
        (GC, 11_240_000, None, 0.99, Role.CHECK),
    ):
        ledger.complete(add(ledger, placed, params, latency_ms, 0.5, accuracy, role))
    add(ledger, PLACED[0], 11_300_000, None, 0.6, Role.CHECK)  # interrupted
    write_report(folder)
    return folder


def test_they_are_no_contending_trials(warm_run: Path) -> None:
    shown = Study.read(warm_run)
    assert [t.number for t in shown.trials] == [1, 2, 3, 4]
    assert [t.number for t in shown.scratch] == [0, 5, 6, 7]
    assert [t.number for t in shown.front] == [4, 3, 1]
    assert shown.epochs == EPOCHS


def test_trials_csv_holds_them_with_their_roles_and_pareto_csv_does_not(warm_run: Path) -> None:
    def roles(name: str) -> list[tuple[str, str]]:
        text = (warm_run / "report" / name).read_text(encoding="utf-8")
        cells = [line.split(",") for line in text.splitlines()[1:]]
        return [(row[0], row[2]) for row in cells]

    assert roles("trials.csv") == [
        ("0", "origin"), ("1", "baseline"), ("2", "control"), ("3", "candidate"),
        ("4", "candidate"), ("5", "check"), ("6", "check"), ("7", "check"),
    ]  # fmt: skip
    assert roles("pareto.csv") == [("4", "candidate"), ("3", "candidate"), ("1", "baseline")]


def test_the_report_counts_the_others_only(warm_run: Path) -> None:
    text = (warm_run / "report" / "report.md").read_text(encoding="utf-8")
    assert "\n4 trials: 4 fully trained.\n" in text
    before = text.partition("## Warm starts")[0]
    for accuracy in ("97.00 %", "98.00 %", "99.00 %"):
        assert accuracy not in before
    assert "| 4, 6 | " in section(Study.read(warm_run))
    assert "| 1, 0 | ★ `none` | 90.00 % | 98.00 % |" in section(Study.read(warm_run))


def test_the_picture_holds_the_others_only(warm_run: Path) -> None:
    highest = draw(Study.read(warm_run)).axes[0].get_ylim()[1]
    assert highest < 95


@pytest.mark.parametrize("objectives", [OBJECTIVES, WITHOUT_LATENCY])
@pytest.mark.parametrize("width", [40, 100, 160])
def test_the_terminals_result_holds_the_others_only(
    warm_run: Path, width: int, objectives: tuple[str, ...]
) -> None:
    console = Console(file=io.StringIO(), width=width)
    trials = Ledger.read(warm_run).trials()
    print_result(console, trials, objectives, warm_run / "report", IMAGES)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "93.00 %" in text
    for accuracy in ("97.00 %", "98.00 %", "99.00 %"):
        assert accuracy not in text


def settings(clock: list[float] | None = None) -> ViewSettings:
    now = clock if clock is not None else [0.0]
    return ViewSettings("demo", 4, 2, WITHOUT_LATENCY, lambda: now[0])


def test_the_views_count_the_others_only(warm_run: Path) -> None:
    stream = io.StringIO()
    plain = PlainView(stream, settings())
    console = Console(file=io.StringIO(), force_terminal=True, width=160, height=40)
    live = LiveView(console, settings())
    trials = Ledger.read(warm_run).trials()
    for view in (plain, live):
        view.known(trials[:3])
        for ended in trials[3:7]:
            view.trial_began(dataclasses.replace(ended, state=State.RUNNING))
            view.trial_ended(ended)
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == [
        "[2/4", "[3/4", "[3/4", "[4/4", "[4/4", "[4/4", "[4/4", "[4/4",
    ]  # fmt: skip
    shown = Console(file=io.StringIO(), width=160)
    shown.print(live.picture())
    assert isinstance(shown.file, io.StringIO)
    text = shown.file.getvalue()
    assert "4 of 4 trained" in text
    front = text.partition(" front ")[2] or text.partition("front")[2]
    assert "93.0 %" in front
    assert "99.0 %" not in front


def test_no_time_left_is_told_of_trainings_that_take_longer_than_those_counted() -> None:
    now = [0.0]
    progress = Progress(settings(now))
    progress.began(trial(1, state=State.RUNNING))
    now[0] = 60.0
    progress.ended(trial(1, 0.9))
    assert progress.remaining_seconds == 60 * 3 / 2
    check = dataclasses.replace(cold(9, 0.5, SE), state=State.RUNNING)
    progress.began(check)
    assert progress.remaining_seconds is None
    now[0] = 660.0
    progress.ended(dataclasses.replace(check, state=State.COMPLETE))
    assert progress.remaining_seconds == 60 * 3 / 2, "and its time is not a trial's"
