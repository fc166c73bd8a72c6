"""What paddle2onnx would write wrongly into an ONNX model, found in the exported Paddle program."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Sizes = dict[int, tuple[int, ...]]


def inexpressible(program: Path) -> str | None:
    """Why the network in a Paddle Inference `.json` cannot be expressed in ONNX; None if it can.

    Adaptive pooling in windows of several sizes: ONNX has none, and paddle2onnx 2.1 writes pooling
    in windows of one size in its place, which gives other numbers.
    """
    try:
        operations = list(_operations(json.loads(program.read_bytes())["program"]))
        sizes: Sizes = {}
        for operation in operations:
            sizes |= _sizes(operation)
        found = (_uneven(operation, sizes) for operation in operations)
        return next(filter(None, found), None)
    except (KeyError, IndexError, TypeError, ValueError):
        return None  # another version's; the models are compared anyway


def _operations(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for region in value["regions"]:
        for block in region["blocks"]:
            yield from block["ops"]


def _sizes(operation: Mapping[str, Any]) -> Sizes:
    """Shapes of what an operation gives, by the numbers of its values; -1 for the batch."""
    found: Sizes = {}
    for value in operation.get("O", ()):
        kind = value.get("TT", {}) if isinstance(value, dict) else {}
        if "dtensor" in str(kind.get("#")):
            found[value["%"]] = tuple(kind["D"][1])
    return found


def _uneven(operation: Mapping[str, Any], sizes: Sizes) -> str | None:
    named = (each for each in operation.get("A", ()) if isinstance(each, dict))  # not parameters'
    attributes = {each["N"]: each["AT"].get("D") for each in named}
    if attributes.get("adaptive") is not True:
        return None
    given = sizes[operation["I"][0]["%"]][-2:]
    result = sizes[operation["O"][0]["%"]][-2:]
    if not any(side % part for side, part in zip(given, result, strict=True)):
        return None
    layer = str(attributes.get("struct_name", "")).strip("/").rpartition("/")[2] or "a layer"
    shapes = " to ".join(f"{height} × {width}" for height, width in (given, result))
    return (
        f"{layer} pools adaptively from {shapes}, in windows of several sizes, which ONNX does "
        "not have"
    )
