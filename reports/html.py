"""`report.html`: the whole report as one page that needs nothing else.

Whatever a study holds is text in it: Jinja escapes all values, and a Content-Security-Policy lets
nothing run or be fetched but the page's own style and script, by their checksums.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from models.printable import printable
from reports.answer import verdicts
from reports.cards import Card, best_cards, card, compared_cards
from reports.drawing import backbone
from reports.findings import Findings
from reports.markdown import PLOTS
from reports.markup import blocks, inline
from reports.palette import DARK, LIGHT, STRENGTHS
from reports.plot import Plot
from reports.sections import ANSWER, WHERE, Section, question, sections
from reports.study import Study
from reports.svg import inline as drawing
from reports.warm_start import warning
from reports.where import HOW_TO_READ, TITLE, Map, where
from reports.worth import worth

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"
AS_TABLE = "where-attention-helps"  # what the page shows as a table, whose words stay words


@dataclass(frozen=True)
class Figure:
    """A drawing of the page."""

    name: str
    title: str
    drawing: Markup


@dataclass(frozen=True)
class Part:
    """A section of the page; `gains` is the map, where it has one."""

    name: str
    title: str
    body: Markup
    figures: tuple[Figure, ...]
    gains: Map | None = None


def page(study: Study, findings: Findings, plots: Sequence[Plot], files: Sequence[str]) -> str:
    """The page; `plots` and `files` are linked to where `write_report` writes them."""
    drawn = backbone(study)
    trials = {trial.number: trial for trial in study.trials}
    pointed = sorted({each.trial for plot in plots for each in plot.targets})
    cards = {number: card(study, drawn, trials[number]) for number in pointed}
    parts = [_part(findings, section, plots, cards) for section in sections(study, findings)]
    style, script = _style(), (TEMPLATES / "script.js").read_text(encoding="utf-8")
    doubt = warning(study)
    return _environment().get_template(PAGE).render(
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        name=printable(study.name),
        question=inline(question(study)),
        verdicts=blocks([*verdicts(study), *(["", doubt] if doubt else [])], "Answer"),
        best=best_cards(study, drawn),
        compared=compared_cards(study, drawn),
        backbone=drawn,
        parts=parts,
        cards=list(cards.values()),
        folder=PLOTS,
        files=files,
    )  # fmt: skip


def _part(
    findings: Findings,
    section: Section,
    plots: Sequence[Plot],
    cards: dict[int, Card],
) -> Part:
    shown = [plot for plot in plots if plot.name.startswith(section.plots or "/")]
    figures = tuple(
        Figure(plot.name, plot.title, drawing(plot, lambda number: cards[number].line))
        for plot in shown
        if plot.name != AS_TABLE
    )
    gains = where(findings.effects) if section.name == WHERE else None
    if section.name == ANSWER:
        body = Markup("")
    elif gains:
        lines = [*worth(findings.effects), "", f"### {TITLE}", "", HOW_TO_READ]
        body = blocks(lines, section.title)
    else:
        body = blocks(section.lines, section.title)
    return Part(section.name, section.title, body, figures, gains)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> str:
    """The style with the palette's colours."""
    strengths = [(at, f"{100 * part:g}%") for at, part in enumerate(STRENGTHS, 1)]
    template = _environment().get_template("style.css")
    return template.render(light=LIGHT, dark=DARK, strengths=strengths)


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_checksum(style)}",
            f"script-src {_checksum(script)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _checksum(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
