"""The formulas people read give what the code computes: they are evaluated, letter by letter."""

import re

import pytest

from models.attention import block_class, block_names, make_block
from models.block import SlotShape

SHAPE = SlotShape(24, 8, 8, bridged=(12, 40))
LETTERS: dict[str, float] = {"C": 24, "H": 8, "W": 8, "N": 64}

Case = tuple[str, dict[str, object], dict[str, float], list[str], list[str]]
"""Block, options, the letters' values, and the parts of its two formulas that then apply."""

CASES: list[Case] = [
    (
        "bat",
        {"s": 4, "k": 3, "r": 2},
        {"Ci": 12, "s": 4, "k": 3},
        ["2C·Ci + Ci² + Ci·k + 6Ci + 3C + 3k + 2(s³·k² + s²·k)"],
        ["(2C·Ci + Ci² + Ci·k + 2s·Ci)·H·W + 2s³·k²"],
    ),
    (
        "bottleneck",
        {"hidden": 5},
        {"h": 5},
        ["2C·h + 9h² + 4h + 2C"],
        ["(2C·h + 9h²)·H·W"],
    ),
    (
        "bridge",
        {"reduction": 4},
        {"m": 6, "n": 3, "ΣC_i": 12 + 40 + 24},
        ["m·(ΣC_i + C) + 2m·n"],
        ["m·(ΣC_i + C)"],
    ),
    ("cbam", {"reduction": 4, "spatial": False}, {"m": 6}, ["2C·m + m + C"], ["4C·m"]),
    ("cbam", {"reduction": 4}, {"m": 6}, ["2C·m + m + C", "98 + 2"], ["4C·m", "98·H·W"]),
    ("coord", {"reduction": 2}, {"m": 12}, ["3C·m + 3m + 2C"], ["2C·m·(H + W)"]),
    ("eca", {"kernel": 5}, {"k": 5}, ["k"], ["k·C"]),
    (
        "fca",
        {"reduction": 4, "frequencies": "top8", "dct_size": 7},
        {"m": 6, "D": 7},
        ["2C·m"],
        ["C·D² + 2C·m"],
    ),
    ("gc", {"ratio": 0.25, "pooling": "average"}, {"P": 6}, ["2C·P + 3P + C"], ["2C·P"]),
    ("gc", {"ratio": 0.25}, {"P": 6}, ["2C·P + 3P + C", "C + 1"], ["2C·P", "(2C + 1)·H·W"]),
    (
        "gc",
        {"ratio": 0.25, "fusion": "mul+add"},
        {"P": 6},
        ["2C·P + 3P + C", "2C·P + 3P + C", "C + 1"],
        ["2C·P", "2C·P", "(2C + 1)·H·W"],
    ),
    (
        "nonlocal",
        {},
        {"Ci": 12, "M": 64},
        ["4C·Ci + 3Ci + C", "2C"],
        ["4C·Ci·N + 2Ci·N·M + N·M"],
    ),
    (
        "nonlocal",
        {"mode": "dot_product", "bn": False},
        {"Ci": 12, "M": 64},
        ["4C·Ci + 3Ci + C"],
        ["4C·Ci·N + 2Ci·N·M"],
    ),
    (
        "nonlocal",
        {"mode": "gaussian", "subsample": True, "bn": False},
        {"Ci": 12, "M": 16},
        ["2C·Ci + Ci + C"],
        ["2C·Ci·N + (C + Ci)·N·M + N·M"],
    ),
    (
        "nonlocal",
        {"mode": "concatenation", "subsample": True},
        {"Ci": 12, "M": 16},
        ["4C·Ci + 3Ci + C", "2Ci", "2C"],
        ["4C·Ci·N + Ci·(N + M) + Ci·N·M"],
    ),
    ("ortho", {"reduction": 4}, {"m": 6}, ["2C·m"], ["C·H·W + 2C·m"]),
    ("residual", {}, {}, ["18C² + 4C"], ["18C²·H·W"]),
    ("se", {"reduction": 4}, {"m": 6}, ["2C·m"], ["2C·m"]),
    ("se", {"reduction": 4, "bias": True}, {"m": 6}, ["2C·m", "m + C"], ["2C·m"]),
    ("simam", {}, {}, ["0"], ["0"]),
    ("snl", {"bn": False}, {}, ["C² + 2C + 1"], ["C² + (2C + 1)·H·W"]),
    ("snl", {}, {}, ["C² + 2C + 1", "2C"], ["C² + (2C + 1)·H·W"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_formula_gives_the_cost(case: Case) -> None:
    name, given, letters, params, macs = case
    kind = block_class(name)
    cost = kind.cost(SHAPE, dict(make_block(name, given).options))
    for parts, formula, expected in (
        (params, kind.params_formula, cost.params),
        (macs, kind.macs_formula, cost.macs),
    ):
        for part in parts:
            assert part in formula
        assert sum(evaluate(part, LETTERS | letters) for part in parts) == expected


def test_every_block_has_its_formulas_evaluated() -> None:
    assert {case[0] for case in CASES} == set(block_names())


def evaluate(formula: str, letters: dict[str, float]) -> float:
    """`2C·m` with a value for each letter: `·` multiplies, and so does a number before a letter."""
    text = formula.replace("·", "*").replace("²", "**2").replace("³", "**3")
    text = text.replace("ΣC_i", "S")
    text = re.sub(r"(\d)([A-Za-z(])", r"\1*\2", text)
    values = {key.replace("ΣC_i", "S"): value for key, value in letters.items()}
    assert re.fullmatch(r"[A-Za-z0-9+*() ]+", text), text
    return float(eval(text, {"__builtins__": {}}, values))  # noqa: S307 - the line above allows sums
