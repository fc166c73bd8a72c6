"""A drawing inside a page: matplotlib's SVG in the page's colours and font, with its trials.

Nothing in it has a `style`, which the page's Content-Security-Policy forbids; colours become
variables of the page; names within become unique in it. Trials become marks that can be pointed at,
tapped and reached with the keyboard.
"""

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from markupsafe import Markup, escape

from reports.marks import NUMBER
from reports.palette import PICTURE
from reports.plot import Plot, Target

SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"
REACH = 5  # points around a mark
VARIABLES = {colour: f"var(--{name})" for name, colour in PICTURE.items()}

Say = Callable[[int], str]

ET.register_namespace("", SVG)


def inline(plot: Plot, say: Say) -> Markup:
    """The drawing as an `<svg>` element; `say` gives a trial's numbers in a line, for its mark."""
    root = ET.fromstring(plot.svg)  # noqa: S314 - our own text
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{SVG}}}metadata", f"{{{SVG}}}style"} or _is_ground(child):
                parent.remove(child)
    for element in root.iter():
        _as_part_of_a_page(element, plot.name)
    drawing = "".join(ET.tostring(child, encoding="unicode") for child in root)
    drawing = re.sub(r' xmlns(:\w+)?="[^"]*"', "", drawing)
    width, height = plot.size
    marks = Markup("").join(_mark(each, index == 0, say) for index, each in enumerate(plot.targets))
    return Markup(
        '<svg class="drawing" viewBox="0 0 {} {}" role="{}" aria-label="{}">'
        '<g aria-hidden="true" fill="var(--ink)" stroke-linejoin="round">{}</g>'
        '<g class="marks">{}</g></svg>'
    ).format(
        f"{width:g}",
        f"{height:g}",
        "group" if plot.targets else "img",
        plot.alt,
        Markup(drawing),  # noqa: S704 - the XML writer escaped all text in it
        marks,
    )


def _is_ground(element: ET.Element) -> bool:
    """Whether it is the figure's or the axes' background, which are the page's."""
    return element.get("id") in {"patch_1", "patch_2"}


def _as_part_of_a_page(element: ET.Element, prefix: str) -> None:
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = declaration.partition(":")
        if value.strip():
            _set(element, name.strip(), value.strip())
    for name, value in list(element.attrib.items()):
        shown = re.sub("#[0-9a-f]{6}", lambda found: VARIABLES.get(found[0], found[0]), value)
        shown = re.sub(r"url\(#", f"url(#{prefix}-", shown)
        element.set(name, shown)
    if LINK in element.attrib:
        element.set("href", f"#{prefix}-{element.attrib.pop(LINK).removeprefix('#')}")
    if "id" in element.attrib:
        if element.attrib["id"].startswith(NUMBER):
            element.set("class", NUMBER)
        element.set("id", f"{prefix}-{element.attrib['id']}")


def _set(element: ET.Element, name: str, value: str) -> None:
    """A declaration as an attribute; of a font, its size and weight: its family is the page's."""
    if name != "font":
        element.set(name, value)
        return
    size = re.search(r"([\d.]+)px", value)
    if size:
        element.set("font-size", size[1])
    if re.search(r"\b(bold|700)\b", value):
        element.set("font-weight", "bold")


def _mark(target: Target, first: bool, say: Say) -> Markup:
    """A mark for a trial; the first of a drawing is reached by Tab, the others by arrows."""
    (x, y), *rest = target.path
    common = Markup('data-trial="{}" tabindex="{}" role="button" aria-label="{}"').format(
        target.trial, 0 if first else -1, say(target.trial)
    )
    if not rest:
        return Markup('<circle cx="{}" cy="{}" r="{}" {}/>').format(x, y, REACH, common)
    course = "M" + "L".join(f"{x:g} {y:g}" for x, y in target.path)
    return Markup('<path d="{}" {}/>').format(escape(course), common)
