"""What a training goes on from: the values of its network, its optimizer and its running mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from trainers.average import WeightAverage

Arrays = Mapping[str, npt.NDArray[Any]]
NETWORK, OPTIMIZER, AVERAGE = "network/", "optimizer/", "average/"


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
        """Takes the values of `arrays`. Raises KeyError or ValueError where they do not fit."""
        own = self.network.state_dict()
        theirs = _part(arrays, NETWORK)
        if own.keys() != theirs.keys():
            raise KeyError(f"values of another network: {sorted(own.keys() ^ theirs.keys())[:3]}")
        for name, tensor in own.items():
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


def _part(arrays: Arrays, prefix: str) -> dict[str, paddle.Tensor]:
    return {
        name.removeprefix(prefix): paddle.to_tensor(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
