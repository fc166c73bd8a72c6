"""The device that a command is told to work on."""

import paddle

from models.errors import InputError


def use_device(device: str) -> None:
    """Has Paddle work on `cpu` or `gpu`. Raises InputError where this Paddle has no such device."""
    if device == "gpu":
        if not paddle.is_compiled_with_cuda():
            raise InputError(
                "--device gpu: this Paddle was built without GPUs; install paddlepaddle-gpu "
                "(README.md, GPU), or leave --device out"
            )
        if not paddle.device.cuda.device_count():
            raise InputError("--device gpu: Paddle sees no GPU on this machine")
    paddle.set_device(device)
