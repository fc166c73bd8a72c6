"""What differs between the space of a study and the one it was to go on with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.printable import one_line


def other_space(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why the study in `folder`, of the space `old`, cannot go on with `new`, and what to do."""
    before, after = _flat(old), _flat(new)
    changed = sorted(
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    )
    shown = ", ".join(
        one_line(f"{key} {before.get(key)!r} → {after.get(key)!r}", 200) for key in changed[:5]
    )
    return (
        f"{folder} holds a study of another space ({shown}). Its trials cannot be compared with "
        "new ones: give the new study its own name (--study NAME), or begin anew (--fresh)"
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        flat |= _flat(inner, f"{name}.") if isinstance(inner, Mapping) else {name: inner}
    return flat
