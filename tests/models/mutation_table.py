"""The known wrong versions of the blocks and what notices them, as a table.

From the repository: `PYTHONPATH=.:tests/models python tests/models/mutation_table.py`.
"""

import sys

from mutants import MUTATIONS, UNOBSERVABLE
from mutants_base import Mutation

HEAD = ("block", "wrong version", "caught by reference", "caught by golden case", "other test")


def table() -> list[tuple[str, str, str]]:
    """Block, what is wrong, and everything that notices it; sorted by block."""
    rows = []
    for mutation in _by_block(MUTATIONS):
        caught = ["the NumPy reference"] if mutation.reference is not None else []
        caught += [f"golden {case}" for case in mutation.golden]
        caught += [other.node for other in mutation.others]
        rows.append((mutation.block, mutation.wording, ", ".join(caught)))
    return rows


def markdown() -> str:
    """The table in Markdown, one row a wrong version."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for mutation in _by_block(MUTATIONS):
        reference = "yes" if mutation.reference is not None else "—"
        nodes = [other.node.rpartition("/")[2] for other in mutation.others]
        cells = (mutation.wording, reference, _code(mutation.golden), _code(nodes))
        rows.append((f"`{mutation.block}`", *cells))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


PAGE = """\
# Known wrong versions of the blocks

Written by `make docs` from the tests' own lists; a test fails when this page is stale. Each row
is a version of a block that takes and gives the same shapes and is wrong: mistakes of tutorials
that people copy, and slips one could make. `tests/models/test_mutations.py` puts each in the
block's place and sees that what is named here fails: the comparison with the NumPy reference
that was written from the paper, the recorded numbers of the official implementation (where they
lie beside the checkout), or a test by its name.
"""


def page() -> str:
    """docs/mutations.md."""
    same = (
        "Not wrong, though it may look so: other ways to compute the same function, which no test "
        "can tell apart."
    )
    return f"{PAGE}\n{markdown()}\n{same}\n\n{unobservable_markdown()}"


def unobservable_markdown() -> str:
    """A Markdown list of other ways to compute the same function."""
    same = _by_block(UNOBSERVABLE)
    return "".join(f"- `{mutation.block}`: {mutation.wording}\n" for mutation in same)


def _by_block(mutations: tuple[Mutation, ...]) -> list[Mutation]:
    return sorted(mutations, key=lambda mutation: mutation.block)


def _code(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names)) or "—"


if __name__ == "__main__":
    sys.stdout.write(page())
