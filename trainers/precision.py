"""The numbers a network is trained with: float32, or bfloat16 where a GPU multiplies those faster.

What else Paddle 3.3 offers for speed on a GPU is left alone, for these reasons. Channels-last: a
convolution has its `data_format` from its construction on, and `paddle.incubate.autotune` of the
layout turns tensors around behind code that reads their shapes and axes, as attention blocks do.
Its tuning of kernels lasts for the first backward passes of a process, so a worker's first
candidate would be tuned and no later one. `FLAGS_cudnn_exhaustive_search=1` in the environment
acts on all alike; but it picks convolution algorithms by their time, anew in every process, so
the same training need not come out the same twice.
"""

import contextlib

import paddle

from models.errors import InputError
from trainers.config import Precision, ResolvedPrecision


def resolve(wanted: Precision) -> ResolvedPrecision:
    """What `training.precision` means on the current device.

    Raises InputError for bfloat16 on a device without it: a CPU, or a GPU before Ampere.
    """
    if wanted == "float32":
        return wanted
    device = paddle.get_device()
    able = device != "cpu" and paddle.amp.is_bfloat16_supported()
    if wanted == "bfloat16" and not able:
        raise InputError(
            f"training.precision: bfloat16 is not allowed on {device}, which does not compute "
            "with it; allowed: auto, float32"
        )
    return "bfloat16" if able else "float32"


def autocast(precision: ResolvedPrecision) -> contextlib.AbstractContextManager[None]:
    """Where Paddle casts the inputs of convolutions and matrix products to `precision`.

    Parameters, their gradients and batch norms' statistics stay float32. No loss scaling:
    bfloat16 has float32's range.
    """
    if precision == "float32":
        return contextlib.nullcontext()
    casting: contextlib.AbstractContextManager[None] = paddle.amp.auto_cast(
        dtype=precision, level="O1"
    )
    return casting
