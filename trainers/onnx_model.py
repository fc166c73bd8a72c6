"""ONNX: converted in a process of its own, and run by ONNX Runtime; both are the extra `onnx`."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.errors import StorageError
from models.printable import one_line
from trainers.engine import Answers, Images
from trainers.onnx_limits import inexpressible

NEEDED = ("paddle2onnx", "onnx", "onnxruntime")
HOW_TO_GET = "pip install 'attention-placement-search[onnx]' (paddle2onnx and onnxruntime)"
SECONDS = 600


class ConversionError(Exception):
    """The network cannot be expressed in ONNX; why, in words."""


def missing() -> str | None:
    """What is not installed of what ONNX needs, and how to get it; None where nothing is."""
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} not installed: {HOW_TO_GET}" if absent else None


def convert(model: Path, target: Path, notes: Mapping[str, str]) -> None:
    """Writes the Paddle Inference model `model` (without suffix) as ONNX to `target`.

    `notes` are written into it. In another process: paddle2onnx ends the one it runs in at an
    operation it does not know. Raises ConversionError, and StorageError for a full disk.
    """
    reason = inexpressible(model.with_name(f"{model.name}.json"))
    if reason is not None:
        raise ConversionError(reason)
    words = [sys.executable, "-W", "ignore", "-m", "trainers.onnx_conversion"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [*words, str(model), str(target)],
            input=json.dumps(dict(notes)),
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(f"paddle2onnx took more than {SECONDS} seconds") from None
    if done.returncode == StorageError.exit_code:
        raise StorageError(f"{target}: cannot be written; is the disk full?")
    if done.returncode or not target.is_file():
        raise ConversionError(_reason(done.returncode, done.stderr + done.stdout))


def _reason(code: int, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if "rror" in line or "not support" in line] or lines[-1:]
    ended = f"signal {-code}" if code < 0 else f"code {code}"
    return f"paddle2onnx ended with {ended}: {one_line(' '.join(told[:2]), 300)}"


def open_onnx(path: Path) -> Answers:
    """The ONNX model at `path` on one thread of the CPU: images to logits."""
    import onnxruntime  # noqa: PLC0415 - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as well
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())

    def answer(images: Images) -> Images:
        (logits,) = session.run(None, {name: images})
        return np.asarray(logits, np.float32)

    return answer
