"""The report's Markdown as HTML: what was written, and nothing that was smuggled in."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.printable import printable
from reports.markup import blocks, inline
from reports.wording import code, code_cell, prose

NASTY = st.text(alphabet=st.sampled_from(list("ab `\\|*_&<>\"'[]()-#\n")), max_size=30) | st.text(
    max_size=30
)


def text_of(markup: str) -> str:
    """What a reader of the page sees."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def plain(text: str) -> str:
    return printable(" ".join(text.split()))


@given(NASTY)
def test_prose_is_shown_as_it_was(text: str) -> None:
    shown = inline(prose(text))
    assert re.findall("<[^>]*>", shown) == []
    assert html.unescape(shown) == plain(text)


@given(NASTY)
def test_code_is_shown_as_it_was(text: str) -> None:
    shown = inline(code(text))
    assert re.findall("<(?!wbr)[^>]*>", shown) == ["<code>", "</code>"]
    assert text_of(shown).strip() == plain(text).strip()


@given(NASTY, NASTY)
def test_cells_keep_what_they_hold(first: str, second: str) -> None:
    """But for a space that keeps a backslash from a bar."""
    lines = ["| a | b |", "|---:|---|", f"| {code_cell(first)} | {prose(second)}x |"]
    found = re.findall("<t[hd] [^>]*>(.*?)</t[hd]>|<td[^>]*>(.*?)</td>", blocks(lines, "t"))
    cells = [text_of("".join(groups)) for groups in found][2:]
    assert len(cells) == 2
    squeezed = [cell.replace(" ", "") for cell in cells]
    wanted = [plain(text).replace(" ", "") for text in (first, second)]
    assert squeezed == [wanted[0], f"{wanted[1]}x"]


def test_forms() -> None:
    lines = ["**b** *e* `c`", "", "- one", "- two", "", "### t | u", "", "| a |", "|---|", "| 1 |"]
    shown = blocks(lines, "title")
    assert "<p><strong>b</strong> <em>e</em> <code>c</code></p>" in shown
    assert "<ul><li>one</li><li>two</li></ul>" in shown
    assert "<h3>t | u</h3>" in shown
    assert "<caption>t | u</caption>" in shown
    assert '<th scope="col" class="start">a</th>' in shown
    assert '<th scope="row" class="start">1</th>' in shown


@pytest.mark.parametrize("text", ["a ` b", "** b", "*", "\\", "&amp", "```x``"])
def test_what_is_not_closed_does_no_harm(text: str) -> None:
    shown = inline(text)
    assert len(re.findall("<(?!/)", shown)) == len(re.findall("</", shown))


def test_long_tables_are_folded() -> None:
    rows = ["| a |", "|---|", *(f"| {n} |" for n in range(40))]
    assert blocks(rows, "t").startswith("<details><summary>Show 40 rows</summary>")
    assert "<details>" not in blocks(rows[:10], "t")
