"""The report's own Markdown as HTML: the few forms that its sentences and tables use.

Nothing of a text gets into the page but as text: whatever is not one of these forms is escaped, and
no form holds an address.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

LONG = 25  # rows, from which on a table is folded up
STRONG = (Markup("<strong>"), Markup("</strong>"))
EMPHASIS = (Markup("<em>"), Markup("</em>"))
_TEXT = re.compile(r"[^\\`*&]+")
_ROW = re.compile(r"(?:\\.|[^|\\]|\\$)+")  # the text of a cell: an escaped bar does not end it
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot);")


@dataclass
class _Open:
    """Which emphasis a text is in."""

    strong: bool = False
    emphasis: bool = False


def inline(text: str) -> Markup:
    """Code, `**strong**`, `*emphasis*`, escapes and entities of one line; all else is text."""
    found, state, at = Markup(""), _Open(), 0
    while at < len(text):
        piece, at = _piece(text, at, state)
        found += piece
    if state.emphasis:
        found += EMPHASIS[1]
    if state.strong:
        found += STRONG[1]
    return found


def _piece(text: str, at: int, state: _Open) -> tuple[Markup, int]:
    """What stands at `at`, and where the next begins."""
    plain = _TEXT.match(text, at)
    if plain:
        return escape(plain[0]), plain.end()
    sign = text[at]
    if sign == "\\" and at + 1 < len(text):
        return escape(text[at + 1]), at + 2
    if sign == "`":
        return _code(text, at)
    if sign == "*":
        return _emphasis(text, at, state)
    entity = _ENTITY.match(text, at)
    if entity:
        return escape(html.unescape(entity[0])), entity.end()
    return escape(sign), at + 1


def _emphasis(text: str, at: int, state: _Open) -> tuple[Markup, int]:
    if text.startswith("**", at):
        state.strong = not state.strong
        return STRONG[not state.strong], at + 2
    state.emphasis = not state.emphasis
    return EMPHASIS[not state.emphasis], at + 1


def _code(text: str, at: int) -> tuple[Markup, int]:
    """A span from as many backticks to as many; backticks without an end are text."""
    fence = re.compile("`+").match(text, at)
    ticks = fence[0] if fence else "`"
    start = at + len(ticks)
    for end in re.finditer("`+", text[start:]):
        if end[0] == ticks:
            inner = text[start : start + end.start()]
            if len(inner) > 2 and inner[0] == inner[-1] == " ":
                inner = inner[1:-1]
            return Markup("<code>{}</code>").format(_breakable(inner)), start + end.end()
    return escape(ticks), start


def _breakable(text: str) -> Markup:
    """A text that may go on in the next line behind each `=`: placements are long."""
    return Markup("=<wbr>").join(text.split("="))


def blocks(lines: Sequence[str], title: str) -> Markup:
    """Paragraphs, lists, tables and third-level headings; `title` names tables before a heading."""
    found, caption = [], title
    for kind, group in _groups(lines):
        if kind == "heading":
            caption = group[0].removeprefix("### ")
            found.append(Markup("<h3>{}</h3>").format(inline(caption)))
        elif kind == "list":
            items = Markup("").join(
                Markup("<li>{}</li>").format(inline(line.removeprefix("- "))) for line in group
            )
            found.append(Markup("<ul>{}</ul>").format(items))
        elif kind == "table":
            found.append(_table(group, caption))
        else:
            found.append(Markup("<p>{}</p>").format(inline(" ".join(group))))
    return Markup("\n").join(found)


def _groups(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Lines that belong together, with what they are."""
    kind, group = "", list[str]()
    for line in [*lines, ""]:
        its = _kind(line)
        if group and its != kind:
            yield kind, group
            group = []
        kind = its
        if its:
            group.append(line)


def _kind(line: str) -> str:
    if not line:
        return ""
    starts = {"### ": "heading", "- ": "list", "|": "table"}
    return next((kind for start, kind in starts.items() if line.startswith(start)), "text")


def _cells(row: str) -> list[str]:
    """The cells of a table's row; a bar that was escaped is one again."""
    inner = row.strip().removeprefix("|").removesuffix("|")
    found = _ROW.findall(inner)
    return [re.sub(r"\\(.)", _unbarred, cell.strip()) for cell in found]


def _unbarred(escaped: re.Match[str]) -> str:
    return "|" if escaped[1] == "|" else escaped[0]


def _table(rows: Sequence[str], caption: str) -> Markup:
    head, rule, *body = (_cells(row) for row in rows)
    ends = ["end" if cell.endswith(":") else "start" for cell in rule]
    titles = Markup("").join(
        Markup('<th scope="col" class="{}">{}</th>').format(end, inline(cell))
        for cell, end in zip(head, ends, strict=False)
    )
    lines = Markup("\n").join(_table_row(cells, ends) for cells in body)
    table = Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{}"><table>'
        "<caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(f"{caption}: table", inline(caption), titles, lines)
    if len(body) < LONG:
        return table
    return Markup("<details><summary>Show {} rows</summary>{}</details>").format(len(body), table)


def _table_row(cells: Sequence[str], ends: Sequence[str]) -> Markup:
    first, *others = zip(cells, ends, strict=False)
    shown = Markup('<th scope="row" class="{}">{}</th>').format(first[1], inline(first[0]))
    for cell, end in others:
        shown += Markup('<td class="{}">{}</td>').format(end, inline(cell))
    return Markup("<tr>{}</tr>").format(shown)
