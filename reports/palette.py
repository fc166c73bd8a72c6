"""The colours of drawings and pages: Okabe and Ito's, told apart by any kind of colour vision.

Pictures for papers have them as published. Pages have them as variables, darker on white and
lighter on black, so that every mark stands out (`tests/reports/test_palette.py` measures it).
"""

from collections.abc import Mapping

# Name -> colour in pictures, colour of a light page, colour of a dark page.
_COLOURS = {
    "ink": ("#000000", "#1b1f24", "#e8eaed"),
    "paper": ("#ffffff", "#ffffff", "#191d22"),
    "grid": ("#e6e6e6", "#e4e7ea", "#30363d"),
    "faint": ("#c4c8cc", "#c4c8cc", "#434a52"),
    "grey": ("#8a8a8a", "#7c8187", "#8f969e"),
    "line": ("#555555", "#565c63", "#a8afb6"),
    "blue": ("#0072b2", "#0068a3", "#58b4ee"),
    "orange": ("#e69f00", "#ab6f00", "#f0b13c"),
    "green": ("#009e73", "#00825f", "#2fc79b"),
    "vermilion": ("#d55e00", "#c25100", "#f5874a"),
    "sky": ("#56b4e9", "#2a86bd", "#8fd0f7"),
    "yellow": ("#f0e442", "#857a00", "#ece25a"),
    "purple": ("#cc79a7", "#ad4f84", "#e29bc4"),
}
_OF_PAGES = {
    "back": ("#f6f7f8", "#101317"),
    "muted": ("#565c63", "#a3abb3"),
    "border": ("#d8dce0", "#333a41"),
    "focus": ("#0068a3", "#58b4ee"),
    "good": ("#00704f", "#46d3a8"),
    "bad": ("#b04300", "#ff9c66"),
}

PICTURE: Mapping[str, str] = {name: colours[0] for name, colours in _COLOURS.items()}
LIGHT: Mapping[str, str] = {n: c[1] for n, c in _COLOURS.items()} | {
    n: c[0] for n, c in _OF_PAGES.items()
}
DARK: Mapping[str, str] = {n: c[2] for n, c in _COLOURS.items()} | {
    n: c[1] for n, c in _OF_PAGES.items()
}

BLOCKS = ("blue", "orange", "green", "vermilion", "sky", "yellow")
"""Names of the colours of kinds of attention, in the order they are given."""

STRENGTHS = (0.12, 0.22, 0.34, 0.46)
"""Parts of blue, for gains, and of vermilion, for losses, in the paper of a map's cells."""


def mixed(colour: str, part: float, paper: str) -> str:
    """So much of `colour` in `paper`, both `#rrggbb`, as CSS's `color-mix(in srgb, …)` has it."""
    pairs = zip(channels(colour), channels(paper), strict=True)
    return "#" + "".join(f"{round(part * a + (1 - part) * b):02x}" for a, b in pairs)


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, from 0 to 255."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
