"""A study from somebody else: what it says of itself steers neither a terminal nor a report."""

import contextlib
import io
import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from example_study import trial
from rich.console import Console

from models.errors import StorageError
from reports.answer import answer
from reports.console import LiveView, PlainView, ViewSettings, print_result
from reports.markdown import report
from reports.study import Study
from reports.tables import to_csv, trials_table
from reports.wording import code, code_cell, prose
from search.study_file import DATABASE
from search.trial import State, Trial

EVIL = "\x1b[2J\x9b1m\r\x07\u202e x | y` ```z`` \\| *b* _i_ [l](http://x) ![p](x) <b> &lt;\n\n# h\n"
OBJECTIVES = ("val_accuracy", "params")
SETTINGS = ViewSettings("study", 3, 1, OBJECTIVES)


def evil_trials() -> list[Trial]:
    return [
        trial(0, 0.5, 0.9, name=EVIL),
        trial(1, state=State.FAILED, name=EVIL, reason=EVIL),
        trial(2, 0.5, state=State.STOPPED, name=EVIL, reason=EVIL * 100_000),
        trial(3, state=State.RUNNING, name=EVIL),
    ]


def is_tame(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def test_lines_for_a_file_are_one_each() -> None:
    stream = io.StringIO()
    with PlainView(stream, SETTINGS) as view:
        lines = 0
        for each in evil_trials():
            view.trial_began(each)
            view.trial_ended(each)
            lines += 2
        view.notice(EVIL)
    text = stream.getvalue()
    assert is_tame(text)
    assert text.count("\n") == lines + 1
    assert max(map(len, text.splitlines())) < 900


def test_the_picture_of_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=150, force_terminal=False)
    view = LiveView(console, SETTINGS)
    for each in evil_trials():
        view.trial_began(each)
        if each.state is not State.RUNNING:
            view.trial_ended(each)
    view.notice(EVIL)
    console.print(view.picture())
    assert is_tame(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 100, 200])
def test_the_result_in_a_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_result(console, evil_trials(), OBJECTIVES, Path("runs", EVIL), 100)
    assert is_tame(console.file.getvalue())  # type: ignore[attr-defined]


def test_tables_for_spreadsheets() -> None:
    assert is_tame(to_csv(trials_table(evil_trials())).replace("\u202e", ""))
    assert "\u202e" not in to_csv(trials_table(evil_trials()))


@pytest.mark.parametrize("text", [EVIL, "", "`", "``", "a`b``c", "\\|", "|", "\n", "x" * 9])
def test_code_in_markdown_ends_where_it_should(text: str) -> None:
    """A span ends at the first run of as many backticks as it began with."""
    for made in (code(text), code_cell(text)):
        fence = re.match("`+", made)
        assert fence is not None
        assert is_tame(made)
        assert "\n" not in made
        inner = made[len(fence[0]) : -len(fence[0])]
        assert inner
        assert fence[0] not in re.findall("`+", inner)
    assert all(len(found) == 1 for found in re.findall(r"(\\*)\|", code_cell(text)))


def test_prose_is_only_text() -> None:
    made = prose(EVIL)
    assert is_tame(made)
    assert "\n" not in made
    assert not re.search(r"(?<!\\)(\\\\)*[`*|\[\]]", made)
    assert "<" not in made
    assert "&lt;b>" in made
    assert "&amp;lt;" in made
    assert prose("train_images of cifar10, 1.5 (max_params)") == (
        "train_images of cifar10, 1.5 (max_params)"
    )


def put_fact(run: Path, key: str, value: object) -> None:
    with contextlib.closing(sqlite3.connect(run / DATABASE)) as connection:
        connection.execute("DELETE FROM study_user_attributes WHERE key = ?", (key,))
        connection.execute(
            "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, ?)",
            (key, json.dumps(value)),
        )
        connection.commit()


def facts(run: Path, key: str) -> object:
    with contextlib.closing(sqlite3.connect(run / DATABASE)) as connection:
        query = "SELECT value_json FROM study_user_attributes WHERE key = ?"
        return json.loads(connection.execute(query, (key,)).fetchone()[0])


def all_evil(value: object, key: str = "") -> object:
    """Every text and every name of a fact; what is looked at more closely stays."""
    if isinstance(value, dict):
        return {name: all_evil(inner, name) for name, inner in value.items()} | {EVIL: EVIL}
    if isinstance(value, list):
        return [*value, EVIL] if key not in {"minimize", "objectives"} else value
    return EVIL if isinstance(value, str) else value


@pytest.fixture
def run(example_run: Path, tmp_path: Path) -> Path:
    """The folder of a study that may be changed."""
    copy = tmp_path / "example"
    copy.mkdir()
    shutil.copyfile(example_run / DATABASE, copy / DATABASE)
    return copy


def test_a_report_of_evil_facts(run: Path) -> None:
    """It has as many lines and cells as that of the plain study."""
    plain = report(Study.read(run)).replace(str(run.parent), "")
    for key in ("machine", "data", "search", "space"):
        put_fact(run, key, all_evil(facts(run, key)))
    for key in ("source", "command"):
        put_fact(run, key, EVIL)
    with contextlib.closing(sqlite3.connect(run / DATABASE)) as connection:
        query = "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'reason'"
        connection.execute(query, (json.dumps(EVIL),))
        connection.commit()
    text = report(Study.read(run))
    assert is_tame(text)
    added = len(text.splitlines()) - len(plain.splitlines())
    assert added in {0, -2}  # a summary by reason, which are all the same now
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) in {6, 7, 9}, line
    assert text.count("\n#") == plain.count("\n#")


def test_the_answer_shows_names_as_code(tmp_path: Path) -> None:
    study = Study("s", OBJECTIVES, tuple(evil_trials()), {"data": {"validation_images": 9}})
    assert all(is_tame(line) and "\n" not in line for line in answer(study))


def refused_or_reported(run: Path) -> None:
    with contextlib.suppress(StorageError):
        report(Study.read(run))


ODD = (None, 3, -1, 1e400, "x", [], [3], {}, {"x": {"y": [1]}}, True)
FACTS = ("machine", "data", "search", "latency_model", "source", "command", "architectures",
         "storage", "start", "estimate", "slots")  # fmt: skip


@pytest.mark.parametrize("key", FACTS)
def test_facts_that_are_none_of_ours(run: Path, key: str) -> None:
    for value in ODD:
        put_fact(run, key, value)
        refused_or_reported(run)


INNER = {
    "backbone": ("", "name"),
    "data": ("", "validation_images", "name"),
    "placement": ("", "attention"),
    "training": ("", "start"),
    "objectives": ("", "minimize"),
    "search": ("", "seed"),
    "latency": ("", "precision"),
}


@pytest.mark.parametrize("section", INNER)
def test_spaces_that_are_none_of_ours(run: Path, section: str) -> None:
    space = facts(run, "space")
    assert isinstance(space, dict)
    for value in ODD:
        for inner in INNER[section]:
            changed = {**space.get(section, {}), inner: value} if inner else value
            put_fact(run, "space", {**space, section: changed})
            refused_or_reported(run)


def test_objectives_that_no_search_has(run: Path) -> None:
    space = facts(run, "space")
    assert isinstance(space, dict)
    space["objectives"]["minimize"] = [EVIL]
    put_fact(run, "space", space)
    put_fact(run, "objectives", ["val_accuracy", EVIL])
    with pytest.raises(StorageError, match="holds no study of this program: its "):
        Study.read(run)
