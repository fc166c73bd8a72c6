"""What a training goes on from: the values of its network, its optimizer and its running mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from trainers.average import STEPS, WeightAverage
from trainers.config import TrainingConfig

Arrays = Mapping[str, npt.NDArray[Any]]
Form = tuple[tuple[int, ...], str]
"""Shape of an array and the name of its type."""

NETWORK, OPTIMIZER, AVERAGE = "network/", "optimizer/", "average/"

OF_OPTIMIZER: dict[str, dict[str, bool]] = {
    "sgd": {"velocity_0": False},
    "adam": {
        "moment1_0": False,
        "moment2_0": False,
        "beta1_pow_acc_0": True,
        "beta2_pow_acc_0": True,
    },
}
"""What Paddle's optimizers hold of each parameter, and whether that is a single number."""


@dataclass(frozen=True)
class TrainingState:
    """The state of one training, by names that do not depend on the process it runs in.

    Paddle names what an optimizer holds after parameters that are counted through the process; here
    they are named after the network's layers.
    """

    network: nn.Layer
    optimizer: Any
    average: WeightAverage | None = None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, as arrays of the state's own memory or copies."""
        parts = {
            NETWORK: self.network.state_dict(),
            OPTIMIZER: self._of_optimizer(),
            AVERAGE: self.average.state_dict() if self.average else {},
        }
        return {
            prefix + name: np.asarray(tensor.numpy())
            for prefix, tensors in parts.items()
            for name, tensor in tensors.items()
        }

    def restore(self, arrays: Arrays) -> None:
        """Takes the values of `arrays`, which `refuse_misfit` has let pass."""
        theirs = _part(arrays, NETWORK)
        for name, tensor in self.network.state_dict().items():
            tensor.set_value(theirs[name])
        self.optimizer.set_state_dict(
            {self._name_here(name): value for name, value in _part(arrays, OPTIMIZER).items()}
        )
        if self.average is not None:
            self.average.set_state_dict(_part(arrays, AVERAGE))

    def _of_optimizer(self) -> dict[str, paddle.Tensor]:
        """What it holds by `what it is / the parameter's name in the network`."""
        layers = {value.name: name for name, value in self.network.named_parameters()}
        found = {}
        for key, tensor in self.optimizer.state_dict().items():
            parameter = max((n for n in layers if key.startswith(f"{n}_")), key=len)
            found[f"{key[len(parameter) + 1 :]}/{layers[parameter]}"] = tensor
        return found

    def _name_here(self, name: str) -> str:
        """What Paddle calls in this process what `_of_optimizer` calls `name`."""
        what, layer = name.split("/")
        return f"{dict(self.network.named_parameters())[layer].name}_{what}"


def refuse_misfit(arrays: Arrays, network: nn.Layer, config: TrainingConfig) -> None:
    """Raises ValueError where a training of `network` cannot go on from `arrays`.

    All of them are looked at before the first is taken: a network that has half of them is none.
    Paddle's optimizers would take anything before their first step, and break at it.
    """
    expected = _expected(network, config)
    if expected.keys() != arrays.keys():
        others = sorted(expected.keys() ^ arrays.keys())[:3]
        raise ValueError(f"it is of another network or optimizer: {', '.join(others)}")
    for name, (shape, dtype) in expected.items():
        array = arrays[name]
        if (array.shape, array.dtype.name) != (shape, dtype):
            found = f"{array.dtype.name} {list(array.shape)}"
            raise ValueError(f"{name} is {found} instead of {dtype} {list(shape)}")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"{name} is no number in places")
    if config.average and arrays[AVERAGE + STEPS].item() < 0:
        raise ValueError(f"{AVERAGE}{STEPS} is less than 0")


def _expected(network: nn.Layer, config: TrainingConfig) -> dict[str, Form]:
    """Shape and type of every array of a state."""
    values = {name: _form(value) for name, value in network.state_dict().items()}
    expected = {NETWORK + name: form for name, form in values.items()}
    for name, parameter in network.named_parameters():
        if not parameter.stop_gradient:
            for what, is_single in OF_OPTIMIZER[config.optimizer].items():
                shape, dtype = _form(parameter)
                expected[f"{OPTIMIZER}{what}/{name}"] = ((1,) if is_single else shape, dtype)
    if config.average:
        expected |= {AVERAGE + name: form for name, form in values.items()}
        expected[AVERAGE + STEPS] = ((1,), "int64")
    return expected


def _form(tensor: paddle.Tensor) -> Form:
    return tuple(tensor.shape), str(tensor.dtype).rpartition(".")[2]


def _part(arrays: Arrays, prefix: str) -> dict[str, paddle.Tensor]:
    return {
        name.removeprefix(prefix): paddle.to_tensor(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
