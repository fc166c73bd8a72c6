"""The forms a trained network is exported in, each checked against it before it is let out."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
import safetensors.numpy
from paddle import nn

from models.backbone import BackboneNetwork
from models.checksum import write_with_checksum
from models.errors import StorageError
from models.printable import one_line
from trainers import onnx_model
from trainers.engine import Answers, Images, export, open_exported
from trainers.parity import check_parity, samples
from trainers.train import as_input

MODEL = "model"
INFERENCE, ONNX = "Paddle Inference", "ONNX Runtime"
EAGER = "Paddle"
WEIGHTS = "weights.safetensors"
ONNX_FILE = f"{MODEL}.onnx"
FILES = (WEIGHTS, f"{WEIGHTS}.sha256", f"{MODEL}.json", f"{MODEL}.pdiparams", ONNX_FILE)


@dataclass(frozen=True)
class Exported:
    """`parity`: the largest difference of each form; `no_onnx`: why there is none, if so."""

    parity: dict[str, float]
    no_onnx: str | None


class AtKeptSize(nn.Layer):
    """A network that takes images as the data set keeps them, and resizes them as training did."""

    def __init__(self, network: BackboneNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Images `[N, 3, S, S]` to logits."""
        return self.network(as_input(images, self.network.image_size))


def whole_network(network: BackboneNetwork, kept_size: int) -> nn.Layer:
    """What is exported: `network`, with the resizing of images of `kept_size` where it needs it."""
    network.eval()
    if network.image_size == kept_size:
        return network
    whole = AtKeptSize(network)
    whole.eval()
    return whole


def answers_of(network: nn.Layer) -> Answers:
    """A network as it is trained, layer by layer: images to logits."""

    def answer(images: Images) -> Images:
        with paddle.no_grad():
            logits: Images = network(paddle.to_tensor(images)).numpy()
        return logits

    return answer


def export_forms(
    network: BackboneNetwork, images: Images, folder: Path, notes: Mapping[str, str]
) -> Exported:
    """Writes all forms of `network` into `folder`; `images` [N, 3, S, S] are real ones, normalised.

    Raises ParityError for a form that computes something else, StorageError for a full disk. ONNX
    is left out where it is not installed or cannot express a block.
    """
    size = images.shape[-1]
    whole = whole_network(network, size)
    state = {k: np.asarray(v.numpy()) for k, v in network.state_dict().items()}
    write_with_checksum(
        folder / WEIGHTS, lambda path: path.write_bytes(safetensors.numpy.save(state))
    )
    with _paddle_writing(folder):
        model = export(whole, (None, 3, size, size), folder, MODEL)
        _refuse_cut_short(model, state)
        forms = {INFERENCE: open_exported(model)}
    no_onnx = onnx_model.missing()
    if no_onnx is None:
        try:
            onnx_model.convert(model, folder / ONNX_FILE, notes)
            forms[ONNX] = _opened(folder / ONNX_FILE, images)
        except onnx_model.ConversionError as error:
            no_onnx = str(error)
            (folder / ONNX_FILE).unlink(missing_ok=True)
    return Exported(check_parity(answers_of(whole), forms, samples(images)), no_onnx)


def _opened(path: Path, images: Images) -> Answers:
    try:
        answers = onnx_model.open_onnx(path)
        answers(images)
    except Exception as error:  # onnxruntime's own
        reason = one_line((str(error).strip().splitlines() or [""])[0], 300)
        raise onnx_model.ConversionError(f"ONNX Runtime cannot run it: {reason}") from error
    return answers


@contextmanager
def _paddle_writing(folder: Path) -> Iterator[None]:
    """Paddle writes its files itself, and raises whatever it likes where it cannot."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        free = _free_bytes(folder)
        if free is None or free > 1 << 20:
            raise
        message = f"{folder}: the model cannot be written: {free:,} bytes are left on the disk"
        raise StorageError(message) from error


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _refuse_cut_short(model: Path, state: Mapping[str, np.ndarray]) -> None:
    """Paddle does not look whether all of it was written."""
    path = model.with_name(f"{model.name}.pdiparams")
    found, needed = path.stat().st_size, sum(array.nbytes for array in state.values())
    if found < needed:
        raise StorageError(
            f"{path}: {found:,} of at least {needed:,} bytes were written; is the disk full?"
        )
