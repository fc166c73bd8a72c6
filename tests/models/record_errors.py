"""Writes what the golden tests measured as docs/verified.json has it: by block and origin.

python tests/models/record_errors.py ERRORS.json, with the file of `--golden-errors`.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).resolve().parents[2] / "docs" / "verified.json"


def by_origin(errors: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Block -> implementations with their number of cases and worst errors, rounded up a little."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for case in errors.values():
        found[case["block"]][case["origin"]].append(case)
    return {
        block: [
            {
                "origin": origin,
                "cases": len(cases),
                "y": _worst(cases, "y"),
                "dx": _worst(cases, "dx"),
            }
            for origin, cases in sorted(origins.items())
        ]
        for block, origins in sorted(found.items())
    }


def _worst(cases: list[dict[str, Any]], key: str) -> float:
    return float(f"{max(case[key] or 0.0 for case in cases):.1e}")


if __name__ == "__main__":
    measured = by_origin(json.loads(Path(sys.argv[1]).read_text()))
    RECORDED.write_text(json.dumps(measured, indent=1) + "\n")
