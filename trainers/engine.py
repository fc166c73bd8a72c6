"""A network as something to run: layer by layer, or as Paddle Inference runs an exported one."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import paddle
from paddle import inference, nn

Pass = Callable[[], None]
Images = npt.NDArray[np.float32]
Answers = Callable[[Images], Images]
"""Images `[N, 3, H, W]` to logits `[N, classes]`."""

_GPU_POOL_MIB = 100


def forward_pass(network: nn.Layer, shape: tuple[int, int, int, int], engine: str) -> Pass:
    """What runs `network` in eval mode once on images of `shape` `[N, 3, H, W]`, to the end.

    `engine`: `eager` or `inference`, as in `LatencyConfig`; on the current device.
    """
    network.eval()
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return _exported(network, images) if engine == "inference" else _eager(network, images)


def _eager(network: nn.Layer, images: np.ndarray) -> Pass:
    given = paddle.to_tensor(images)
    on_cpu = paddle.get_device() == "cpu"

    def run() -> None:
        with paddle.no_grad():
            network(given)
        if not on_cpu:
            paddle.device.synchronize()

    return run


def _exported(network: nn.Layer, images: np.ndarray) -> Pass:
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        predictor = inference.create_predictor(_config(export(network, images.shape, Path(folder))))
    given = predictor.get_input_handle(predictor.get_input_names()[0])
    given.copy_from_cpu(images)
    result = predictor.get_output_handle(predictor.get_output_names()[0])

    def run() -> None:
        predictor.run()
        result.copy_to_cpu()  # waits for a GPU; a few logits

    return run


def open_exported(path: Path) -> Answers:
    """The network that `export` wrote to `path`, on the current device: images to logits."""
    predictor = inference.create_predictor(_config(path))
    given = predictor.get_input_handle(predictor.get_input_names()[0])
    result = predictor.get_output_handle(predictor.get_output_names()[0])

    def answer(images: Images) -> Images:
        given.copy_from_cpu(np.ascontiguousarray(images))
        predictor.run()
        logits: Images = result.copy_to_cpu()
        return logits

    return answer


def export(
    network: nn.Layer, shape: tuple[int | None, ...], folder: Path, name: str = "network"
) -> Path:
    """Writes `network` for Paddle Inference into `folder`: `network.json`, `network.pdiparams`.

    `shape` `[N, 3, H, W]` of its input, `images`; None for a batch of any size. Returns the path of
    both files without their suffix. Takes about a second. The network itself stays as it was: layer
    by layer, as it is trained.
    """
    path = folder / name
    spec = [paddle.static.InputSpec(list(shape), "float32", name="images")]
    static = paddle.jit.to_static(network, input_spec=spec, full_graph=True)
    try:
        paddle.jit.save(static, str(path))
    finally:
        network.forward.rollback()
        network.__dict__.pop("forward", None)
    return path


def _config(path: Path) -> inference.Config:
    """One thread, and no oneDNN: Paddle 3.3 cannot run GC's layer norm with it."""
    config = inference.Config(f"{path}.json", f"{path}.pdiparams")
    config.disable_glog_info()
    if paddle.get_device() == "cpu":
        config.disable_gpu()
        config.disable_mkldnn()
        config.set_cpu_math_library_num_threads(1)
    else:
        config.enable_use_gpu(_GPU_POOL_MIB, int(paddle.get_device().partition(":")[2]))
    return config
