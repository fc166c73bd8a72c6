"""`report.html` in a real browser: quiet, quick, for mouse, finger, keyboard and paper."""

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from large_study import large_ledger

from reports.study import Study
from reports.write import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (make chromium)")

FOCUSED = """(each => each.id || each.textContent.trim().slice(0, 20) || each.dataset.trial)(
    document.activeElement)"""
PRESSES = 40
MOST_BYTES = 8 << 20
MOST_SECONDS = 2.0
PHONE = {"width": 375, "height": 812}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of 300 trials."""
    run = tmp_path_factory.mktemp("large")
    return write_report(run, Study.of(large_ledger(), run)) / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextlib.contextmanager
def shown(browser: Any, path: Path, **settings: Any) -> Iterator[Any]:
    """The page, which must say nothing on the console and ask for nothing but itself."""
    context = browser.new_context(**settings)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    def answer(route: Any) -> None:
        if route.request.url.startswith("file:") and route.request.url.endswith(path.name):
            route.continue_()
        else:
            said.append(f"asked for {route.request.url}")
            route.abort()

    page.route(re.compile("^(?!data:)"), answer)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert said == []


def test_it_is_small_and_opens_at_once(browser: Any, large: Path) -> None:
    assert large.stat().st_size < MOST_BYTES
    times = []
    for _ in range(3):  # the machine may be busy with something else
        begun = time.perf_counter()
        with shown(browser, large) as page:
            page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            times.append(time.perf_counter() - begun)
            assert page.locator(".drawing").count() == 7
    assert min(times) < MOST_SECONDS


def test_pointing_shows_the_card_and_leaving_hides_it(browser: Any, large: Path) -> None:
    with shown(browser, large) as page:
        mark = page.locator("#front-latency circle").last
        mark.scroll_into_view_if_needed()
        trial = mark.get_attribute("data-trial")
        mark.hover()
        tip = page.locator("#tip")
        assert tip.is_visible()
        assert f"trial {trial} " in tip.inner_text()
        assert tip.locator("svg.backbone .at").count() == tip.locator("ul.placed li").count() > 0
        assert tip.locator("dd").count() == 3
        lit = page.locator(".marks .on")
        assert lit.count() == 4, "in the three fronts and among the curves"
        page.mouse.move(5, 5)
        assert not tip.is_visible()
        assert lit.count() == 0


def test_a_pointer_near_a_mark_means_it(browser: Any, large: Path) -> None:
    with shown(browser, large) as page:
        mark = page.locator("#front-macs circle").last
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 6)
        assert page.locator("#tip").is_visible()


def test_the_keyboard_goes_from_trial_to_trial(browser: Any, large: Path) -> None:
    with shown(browser, large) as page:
        drawing = page.locator("#front-parameters .drawing")
        assert drawing.locator("[tabindex='0']").count() == 1
        drawing.locator("[tabindex='0']").focus()
        page.keyboard.press("Home")
        seen = set()
        for _ in range(PRESSES):
            focused = page.evaluate("document.activeElement.dataset.trial")
            assert f"trial {focused} " in page.locator("#tip").inner_text()
            seen.add(focused)
            page.keyboard.press("ArrowRight")
        assert len(seen) == PRESSES
        page.keyboard.press("End")
        assert page.evaluate("document.activeElement.dataset.trial") not in seen
        stroke = "getComputedStyle(document.activeElement).stroke"
        assert page.evaluate(stroke) != "rgba(0, 0, 0, 0)", "the focus is seen"
        page.keyboard.press("Enter")
        assert "pinned" in str(page.locator("#tip").get_attribute("class"))
        page.keyboard.press("Escape")
        assert not page.locator("#tip").is_visible()


def test_tab_goes_through_the_page_not_through_its_points(browser: Any, large: Path) -> None:
    with shown(browser, large) as page:
        words = []
        for _ in range(PRESSES):
            page.keyboard.press("Tab")
            words.append(page.evaluate(FOCUSED))
        assert words[0] == "To the answer"
        assert "theme" in words
        assert any(word.isdigit() for word in words), "and reaches the drawings"


def test_a_tap_keeps_the_card_and_another_closes_it(browser: Any, large: Path) -> None:
    with shown(browser, large, viewport=PHONE, has_touch=True) as page:
        mark = page.locator("#front-latency circle").last
        mark.scroll_into_view_if_needed()
        mark.tap(force=True)
        tip = page.locator("#tip")
        assert tip.is_visible()
        box = tip.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        page.touchscreen.tap(5, 100)
        assert not tip.is_visible()


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_the_page_does_not_scroll_sideways(browser: Any, large: Path, width: int) -> None:
    with shown(browser, large, viewport={"width": width, "height": 800}) as page:
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(browser: Any, large: Path, scheme: str) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with shown(browser, large, color_scheme=scheme) as page:
        before = page.evaluate(ground)
        button = page.locator("#theme")
        assert button.get_attribute("aria-pressed") == str(scheme == "dark").lower()
        button.click()
        assert page.evaluate(ground) != before
        assert button.get_attribute("aria-pressed") == str(scheme != "dark").lower()
        page.reload()
        assert page.evaluate(ground) != before, "it is kept"
        button.click()
        assert page.evaluate(ground) == before


def test_drawings_change_with_the_theme(browser: Any, large: Path) -> None:
    ink = "getComputedStyle(document.querySelector('#front-latency .drawing text')).fill"
    slot = "getComputedStyle(document.querySelector('.symbols .slot')).fill"
    with shown(browser, large, color_scheme="light") as page:
        before = page.evaluate(ink), page.evaluate(slot)
        page.locator("#theme").click()
        after = page.evaluate(ink), page.evaluate(slot)
        assert before[0] != after[0]
        assert before[1] != after[1]


def test_it_is_printed_whole_and_black_on_white(browser: Any, large: Path) -> None:
    with shown(browser, large, color_scheme="dark") as page:
        folded = page.locator("details").count()
        assert folded > 0
        pdf = page.pdf(format="A4")
        assert pdf[:5] == b"%PDF-"
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 8
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details[open]").count() == folded
        assert not page.locator("#theme").is_visible()


def test_an_example_with_little_in_it(browser: Any, written: Path) -> None:
    with shown(browser, written / "report.html", viewport=PHONE) as page:
        assert page.locator("h1").inner_text() == "example"
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_nothing_of_a_hostile_study_runs(browser: Any, tmp_path: Path) -> None:
    from example_study import trial
    from test_html import BASELINE, SCRIPTS, study, written_page

    evil = [trial(n, 0.9, 0.9 + n / 100, name=text) for n, text in enumerate(SCRIPTS, 2)]
    path = tmp_path / "report.html"
    path.write_text(written_page(study(BASELINE, *evil, name=SCRIPTS[0]), most=1), encoding="utf-8")
    with shown(browser, path) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        for mark in page.locator("[data-trial]").all():
            mark.focus()
        assert page.evaluate("document.querySelectorAll('img, script').length") == 1
        assert page.locator("h1").inner_text() == SCRIPTS[0]
