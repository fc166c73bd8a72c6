"""Everything can be told from its ground, in both themes (WCAG 2.1: 4.5 for text, 3 for marks)."""

import itertools

import pytest

from reports.palette import BLOCKS, DARK, LIGHT, PICTURE, STRENGTHS, channels, mixed

THEMES = {"light": LIGHT, "dark": DARK}


def luminance(colour: str) -> float:
    linear = [
        c / 12.92 if (c := each / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for each in channels(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["paper", "back"])
def test_texts(theme: str, ground: str) -> None:
    of = THEMES[theme]
    for name in ("ink", "muted", "focus", "good", "bad", "line"):
        assert contrast(of[name], of[ground]) >= 4.5, name


@pytest.mark.parametrize("theme", THEMES)
def test_marks(theme: str) -> None:
    of = THEMES[theme]
    for name in (*BLOCKS, "purple", "grey", "ink", "focus"):
        assert contrast(of[name], of["paper"]) >= 3, name


@pytest.mark.parametrize("theme", THEMES)
def test_texts_on_the_cells_of_the_map(theme: str) -> None:
    of = THEMES[theme]
    for colour, part in itertools.product(("blue", "vermilion"), STRENGTHS):
        assert contrast(of["ink"], mixed(of[colour], part, of["paper"])) >= 4.5, (colour, part)


@pytest.mark.parametrize("theme", THEMES)
def test_letters_on_placements(theme: str) -> None:
    """They are bold and large, and a list beside them says the same."""
    of = THEMES[theme]
    for name in (*BLOCKS, "grey"):
        assert contrast(of["paper"], of[name]) >= 3, name


def test_pictures_have_okabe_and_itos_colours() -> None:
    assert [PICTURE[name] for name in BLOCKS] == [
        "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#f0e442",
    ]  # fmt: skip


def test_every_theme_has_every_colour() -> None:
    assert set(LIGHT) == set(DARK)
    assert set(PICTURE) < set(LIGHT)
