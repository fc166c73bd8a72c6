"""The catalogue of attention blocks as a page, written from the blocks themselves.

`python -m models.catalogue VERIFIED.json` prints docs/blocks.md; `make docs` writes it. The file
holds what the golden tests measured; see docs/blocks.md for how to read it.
"""

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.architecture import option_text
from models.attention import block_class, block_names, make_block
from models.block import AttentionBlock, SlotShape

Verified = Mapping[str, Iterable[Mapping[str, Any]]]
"""Of each block the implementations it was compared with: origin, cases, worst errors."""

EXAMPLE = SlotShape(256, 16, 16, bridged=(256,))

_HEAD = """\
# Attention blocks

Written by `make docs` from `models/attention/`; a test fails when this page is stale. `python -m
models SPACE.yaml` says which of them fit a backbone.

C, H and W are the channels, height and width of the feature map, N = H·W; other letters are
explained below. Parameters leave the running statistics of batch norms out. MACs are the
multiply–adds of convolutions, linear layers and matrix products, and one for each element of a
softmax. "At 256 × 16 × 16" is what the block adds with its defaults to such a map.

Verified: the layer was given the weights, inputs and output gradients recorded from that
implementation, and its outputs, input gradients and parameter gradients were compared; `y` and
`dx` are the largest absolute differences of outputs and of input gradients (allowed: 2e-5 and
1e-4; recorded on 2 cores of an AMD EPYC, Paddle 3.3.1). Every block is also compared with a
reference in float64 NumPy that was written from the papers (`tests/models/numpy_*.py`), and known
wrong versions of it are caught ([mutations.md](mutations.md)).

Inserted (`models/insertion.py`): what makes the block change nothing when it is put into a
trained network, while it can learn from there: within two steps every parameter has a gradient,
but biases that the softmax or batch norm behind them takes away again, as in any network. The
gain is a constant of the layer, 1 in a network that is trained from scratch.
"""


def catalogue(verified: Verified) -> str:
    """The page."""
    lines = [_HEAD, "## Table", ""]
    columns = "block | paper | parameters | MACs | at 256 × 16 × 16 | identity at insertion"
    lines += [f"| {columns} | verified against | worst error |", "|---" * 8 + "|"]
    for name in block_names():
        lines.append(_row(name, verified))
    lines.append("")
    lines.append(
        "`none`, the plain backbone, is the other control, and the first trial of every study."
    )
    for name in block_names():
        lines += ["", *_section(name, verified)]
    return "\n".join(lines) + "\n"


def _row(name: str, verified: Verified) -> str:
    kind = block_class(name)
    checked = list(verified.get(name, ()))
    unrecorded = ("the backbone's own block", "0") if kind.control else ("nothing recorded", "–")
    cells = (
        f"[`{name}`](#{name})",
        kind.paper,
        kind.params_formula,
        kind.macs_formula,
        _example(name),
        kind.insertion,
        ", ".join(str(each["origin"]) for each in checked) or unrecorded[0],
        _worst(checked) if checked else unrecorded[1],
    )
    return f"| {' | '.join(cells)} |"


def _example(name: str) -> str:
    options = dict(make_block(name, {}).options)
    cost = block_class(name).cost(EXAMPLE, options)
    return f"{cost.params:,} / {cost.macs:,}"


def _worst(checked: Sequence[Mapping[str, Any]]) -> str:
    y, dx = (max(float(each[key]) for each in checked) for key in ("y", "dx"))
    return f"y {y:.0e}, dx {dx:.0e}"


def _section(name: str, verified: Verified) -> Iterator[str]:
    kind = block_class(name)
    yield f"## {name}"
    yield ""
    yield f"**{kind.title}.** " + (inspect.getdoc(kind) or "")
    yield ""
    yield from _facts(kind)
    for each in verified.get(name, ()):
        yield (
            f"- Verified against {each['origin']}: {each['cases']} case(s), "
            f"y {float(each['y']):.0e}, dx {float(each['dx']):.0e}"
        )
    if kind.options:
        yield ""
        yield "| option | default | allowed | meaning |"
        yield "|---|---|---|---|"
        for option in kind.options:
            shown = option_text(option.default)
            yield f"| `{option.name}` | {shown} | {option.allowed} | {option.meaning} |"


def _facts(kind: type[AttentionBlock]) -> Iterator[str]:
    yield f"- Paper: {kind.paper}"
    yield f"- Parameters: {kind.params_formula}"
    yield f"- MACs: {kind.macs_formula}"
    yield f"- Legal sizes: {kind.legal_sizes}"
    yield f"- Inserted: {kind.insertion}"
    yield f"- Deviations from the paper: {kind.deviations}"


def main(arguments: list[str]) -> None:
    """Prints the page."""
    sys.stdout.write(catalogue(json.loads(Path(arguments[0]).read_text())))


if __name__ == "__main__":
    main(sys.argv[1:])
