"""The pages that are written from the code are those that the code would write now."""

import json

import mutation_table
import pytest
from record_errors import RECORDED

from models.attention import block_names
from models.catalogue import catalogue

DOCS = RECORDED.parent
PAGES = {
    "blocks.md": lambda: catalogue(json.loads(RECORDED.read_text())),
    "mutations.md": mutation_table.page,
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_fresh(page: str) -> None:
    assert (DOCS / page).read_text() == PAGES[page](), f"docs/{page} is stale: run `make docs`"


def test_a_change_of_a_block_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.attention import block_class

    monkeypatch.setattr(block_class("se"), "params_formula", "3C·m")
    assert (DOCS / "blocks.md").read_text() != PAGES["blocks.md"]()


def test_every_block_is_on_the_page() -> None:
    text = (DOCS / "blocks.md").read_text()
    for name in block_names():
        assert f"\n| [`{name}`](#{name}) |" in text
        assert f"\n## {name}\n" in text
