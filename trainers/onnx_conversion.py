"""The process that `trainers.onnx_model` starts: a Paddle Inference model becomes an ONNX one."""

import json
import sys
from pathlib import Path

from models.errors import StorageError

OPSET = 16
"""ONNX's 17 has a layer norm of its own, which paddle2onnx 2.1 fills so that it cannot run."""


def main() -> int:
    """`MODEL TARGET`, notes as JSON on stdin; the exit code."""
    model, target = map(Path, sys.argv[1:])
    notes = json.load(sys.stdin)
    written = _converted(model, notes)
    try:
        target.write_bytes(written)
    except OSError:
        return StorageError.exit_code
    return 0


def _converted(model: Path, notes: dict[str, str]) -> bytes:
    import onnx  # noqa: PLC0415 - an extra
    import paddle2onnx  # noqa: PLC0415

    # Its default `optimize_tool` would have pip install something; ONNX Runtime optimises anyway.
    text = paddle2onnx.export(
        f"{model}.json",
        f"{model}.pdiparams",
        opset_version=OPSET,
        optimize_tool="none",
    )
    network = onnx.load_model_from_string(text)
    _name(network.graph)
    for key, value in sorted(notes.items()):
        network.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(network)
    written: bytes = network.SerializeToString()
    return written


def _name(graph: "onnx.GraphProto") -> None:  # type: ignore[name-defined] # noqa: F821
    """`images` [batch, 3, H, W] → `logits` [batch, classes], whatever paddle2onnx calls them."""
    (result,) = graph.output
    for node in graph.node:
        node.output[:] = ["logits" if name == result.name else name for name in node.output]
        node.input[:] = ["logits" if name == result.name else name for name in node.input]
    result.name = "logits"
    for value in (*graph.input, result):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


if __name__ == "__main__":
    sys.exit(main())
