"""`report.html`: whole, accessible, harmless, and of one mind with `report.md`."""

import base64
import contextlib
import dataclasses
import hashlib
import html
import itertools
import json
import re
import sqlite3
from html.parser import HTMLParser
from pathlib import Path

import pytest
from example_study import GC, MIXED, OBJECTIVES, RESIDUAL, SPACE, architecture, trial
from test_hostile_study import EVIL, all_evil, facts, put_fact

from models.printable import printable
from reports.findings import Findings
from reports.front_plots import front_plots
from reports.html import page
from reports.markup import blocks
from reports.sections import ANSWER, sections
from reports.study import Study
from reports.write import all_plots
from search.study_file import DATABASE
from search.trial import Role, State, Trial

BASELINE = trial(0, 0.8, 0.90, role=Role.BASELINE, placed=architecture(), params=11_000_000)
CONTROL = trial(1, 0.8, 0.90, role=Role.CONTROL, placed=RESIDUAL, params=12_000_000)
SCRIPTS = (
    "<script>alert(1)</script>", "]]></style></script><img src=x onerror=alert(1)>",
    "\"' onfocus=alert(1) x='", "\u202e\u2066evil\u2069", "--></template></svg><b>", "{{ 7*7 }}",
)  # fmt: skip
VOID = {"meta", "wbr", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Every element with its attributes, and the texts outside script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open[-1:]):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return squeezed(" ".join(self.texts))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def written_page(study: Study, *, most: int | None = None) -> str:
    """With all its drawings, or with so many: they take most of the time."""
    findings = Findings.of(study)
    plots = all_plots(study, findings) if most is None else front_plots(study)[:most]
    return page(study, findings, plots, ["report.md", "trials.csv"])


def study(*trials: Trial, name: str = "study", objectives: tuple[str, ...] = OBJECTIVES) -> Study:
    return Study(name, objectives, trials, SPACE)


@pytest.fixture(scope="session")
def example(written: Path) -> str:
    return (written / "report.html").read_text(encoding="utf-8")


def test_every_element_is_closed_and_names_are_used_once(example: str) -> None:
    parsed = Page(example)
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {(a.get("href") or "")[1:] for _, a in parsed.elements if _is_inner(a.get("href"))}
    assert wanted <= set(ids)


def _is_inner(link: str | None) -> bool:
    return bool(link) and str(link).startswith("#")


def test_it_needs_nothing_else_and_lets_nothing_else_run(example: str) -> None:
    parsed = Page(example)
    assert "http:" not in example
    assert "https:" not in example
    for tag, attributes in parsed.elements:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attributes)
        assert tag not in {"iframe", "object", "embed", "form", "base", "img"}
    policy = next(a["content"] for a in parsed.all("meta") if a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", example, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_headings_go_down_by_one(example: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(example).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_heads_and_drawings_have_words(example: str) -> None:
    parsed = Page(example)
    assert [a["lang"] for a in parsed.all("html")] == ["en"]
    assert len(parsed.all("table")) == len(parsed.all("caption")) > 3
    assert all(a.get("scope") in {"row", "col"} for a in parsed.all("th"))
    for attributes in parsed.all("svg"):
        assert attributes.get("aria-hidden") == "true" or len(attributes["aria-label"] or "") > 10
    marks = [a for _, a in parsed.elements if "data-trial" in a]
    assert len(marks) > 20
    assert all(a["role"] == "button" and "Trial " in (a["aria-label"] or "") for a in marks)
    cards = {a["id"] for a in parsed.all("template")}
    assert {f"card-{a['data-trial']}" for a in marks} == cards


def test_it_says_what_the_text_says(example_run: Path, example: str) -> None:
    """Every line of every section but the picks, which are cards there."""
    shown = Study.read(example_run)
    text = Page(example).text
    for section in sections(shown, Findings.of(shown)):
        lines = [line for line in section.lines if not _is_own(section.name, line)]
        said = re.sub("<summary>.*?</summary>", "", blocks(lines, section.title))
        for piece in re.split("<[^>]*>", said):
            assert squeezed(html.unescape(piece)) in text, (section.name, piece)


def _is_own(section: str, line: str) -> bool:
    picked = section == ANSWER and line.startswith("- ")
    return picked or "sqlite:///" in line  # the folder, which the two were given in other words


def test_picks_baseline_and_control_are_cards(example: str) -> None:
    text = Page(example).text
    for words in (
        "Most accurate", "trial 3 · on the front", "91.80 % ± 0.76", "+1.80 ± 1.13 points",
        "Fewest parameters, fastest and best balanced above the baseline", "bridge at stage 4",
        "within noise", "★ baseline", "Parameters without attention", "11,500,000 (+2.9 %)",
    ):  # fmt: skip
        assert squeezed(words) in text, words


def test_it_is_the_same_twice(example_run: Path, example: str) -> None:
    shown = dataclasses.replace(Study.read(example_run), folder=Path("runs/example"))
    findings = Findings.of(shown)
    files = [str(a["href"]) for a in Page(example.partition('id="files"')[2]).all("a")]
    assert page(shown, findings, all_plots(shown, findings), files) == example


FAILED = trial(2, state=State.FAILED, latency_ms=None, reason="worker died")
INFEASIBLE = trial(2, state=State.INFEASIBLE, latency_ms=None, reason="1.2 times max_params")


@pytest.mark.parametrize(
    ("trials", "objectives", "words"),
    [
        ((), OBJECTIVES, "No candidate has been fully trained yet"),
        ((BASELINE,), OBJECTIVES, "No candidate has been fully trained yet"),
        ((trial(2, 0.9),), OBJECTIVES, "No fully trained baseline"),
        ((FAILED, dataclasses.replace(FAILED, number=3)), OBJECTIVES, "2 failed"),
        ((INFEASIBLE,), OBJECTIVES, "1 over a budget and not trained"),
        (
            (BASELINE, CONTROL, trial(2, 0.8, 0.95)),
            ("val_accuracy",),
            "Judged by accuracy, with at most 11,600,000 parameters.",
        ),
        ((BASELINE, trial(2, 0.95, latency_ms=None)), OBJECTIVES[:2], "Most accurate"),
        ((trial(0, state=State.RUNNING, latency_ms=None),), OBJECTIVES, "1 not ended"),
    ],
)
def test_studies_with_little_in_them(
    trials: tuple[Trial, ...], objectives: tuple[str, ...], words: str
) -> None:
    text = written_page(study(*trials, objectives=objectives))
    parsed = Page(text)
    assert parsed.open == []
    assert squeezed(words) in parsed.text
    trained = any(trial.curve for trial in trials)
    assert bool(parsed.all("figure")) == trained, "a drawing only where there is what to draw"
    assert all("<path" in part or "<use" in part for part in text.split("<figure")[1:])


@pytest.mark.parametrize("name", ["研究 δοκιμή мир 🧪", "x" * 400, *SCRIPTS, EVIL])
def test_names_and_reasons_are_nothing_but_text(name: str) -> None:
    shown = study(
        BASELINE,
        trial(2, 0.8, 0.95, name=name, placed=GC),
        trial(3, 0.5, state=State.STOPPED, name=name, reason=name * 5, placed=MIXED),
        trial(4, state=State.FAILED, name=name, reason=name, latency_ms=None),
        name=name,
    )
    text = written_page(shown, most=1)
    parsed = Page(text)
    assert parsed.open == []
    assert len(parsed.all("script")) == 1
    assert not parsed.all("b") or all(not a for a in parsed.all("b"))
    assert not parsed.all("img")
    assert squeezed(printable(name)) in parsed.text
    assert "\u202e" not in text
    assert not any(n.startswith("on") for _, attributes in parsed.elements for n in attributes)


def test_facts_from_somebody_else(example_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "evil"
    run.mkdir()
    (run / DATABASE).write_bytes((example_run / DATABASE).read_bytes())
    for key in ("machine", "data", "search", "space"):
        put_fact(run, key, all_evil(facts(run, key)))
    for key, value in zip(("source", "command"), SCRIPTS, strict=False):
        put_fact(run, key, value)
    with contextlib.closing(sqlite3.connect(run / DATABASE)) as connection:
        query = "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'reason'"
        connection.execute(query, (json.dumps("".join(SCRIPTS)),))
        connection.commit()
    parsed = Page(written_page(Study.read(run), most=1))
    assert parsed.open == []
    assert len(parsed.all("script")) == 1
    assert not parsed.all("img")
    assert squeezed(SCRIPTS[0]) in parsed.text
