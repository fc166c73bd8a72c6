import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainers.mixup import mix, unmixed


@given(seed=st.integers(0, 999), count=st.integers(1, 9), alpha=st.floats(0.1, 5))
def test_each_image_is_the_mean_its_labels_say(seed: int, count: int, alpha: float) -> None:
    pixels = np.random.default_rng(seed).normal(size=(count, 3, 4, 4)).astype(np.float32)
    before, labels = pixels.copy(), np.arange(count)
    mixture = mix(pixels, labels, alpha, np.random.default_rng(seed))
    assert np.array_equal(pixels, before)
    assert 0 <= mixture.share <= 1
    assert mixture.pixels.dtype == np.float32
    assert np.array_equal(mixture.labels, labels)
    assert sorted(mixture.others) == labels.tolist()
    for number in range(count):  # here a label is its image's number
        one, other = before[number], before[mixture.others[number]]
        expected = mixture.share * one + (1 - mixture.share) * other
        np.testing.assert_allclose(mixture.pixels[number], expected, atol=1e-5)


def test_shares_are_of_the_beta_distribution() -> None:
    rng = np.random.default_rng(0)
    one = (np.zeros((1, 3, 1, 1), np.float32), np.zeros(1, np.int64))
    shares = np.array([mix(*one, 0.2, rng).share for _ in range(4000)])
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.var() - 1 / (4 * (2 * 0.2 + 1))) < 0.01


def test_unmixed_is_the_batch() -> None:
    pixels, labels = np.ones((2, 3, 1, 1), np.float32), np.arange(2)
    mixture = unmixed(pixels, labels)
    assert mixture.pixels is pixels
    assert (mixture.share, list(mixture.others)) == (1.0, [0, 1])
