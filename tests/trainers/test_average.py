import numpy as np
import paddle
import pytest
from paddle import nn

from trainers.average import WeightAverage


def values(network: nn.Layer) -> dict[str, np.ndarray]:
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}


def test_the_means_follow_the_formula_and_the_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4))
    average, expected = WeightAverage(network, 0.5), values(network)
    rng = np.random.default_rng(0)
    for step in range(1, 15):
        for value in network.state_dict().values():
            value.set_value(rng.normal(size=value.shape).astype(np.float32))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        for key, value in values(network).items():
            expected[key] = decay * expected[key] + (1 - decay) * value
    own = values(network)
    with average.applied():
        for key, value in values(network).items():
            np.testing.assert_allclose(value, expected[key], atol=1e-6)
    assert all(np.array_equal(value, own[key]) for key, value in values(network).items())


def test_after_an_error_the_network_has_its_own_values_again() -> None:
    network = nn.Linear(2, 2)
    average = WeightAverage(network, 0.9)
    network.weight.set_value(paddle.ones([2, 2]))
    with pytest.raises(KeyboardInterrupt), average.applied():
        raise KeyboardInterrupt
    assert np.array_equal(network.weight.numpy(), np.ones((2, 2)))
