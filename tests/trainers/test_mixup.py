from collections.abc import Callable

import numpy as np
import paddle
from hypothesis import given
from hypothesis import strategies as st

from trainers.mixup import draw, mix, mixtures, unmixed


@given(seed=st.integers(0, 999), count=st.integers(1, 9), alpha=st.floats(0.1, 5))
def test_each_image_is_the_mean_its_labels_say(seed: int, count: int, alpha: float) -> None:
    pixels = np.random.default_rng(seed).normal(size=(count, 3, 4, 4)).astype(np.float32)
    before, labels = pixels.copy(), np.arange(count)
    mixture = mix(pixels, labels, *draw(count, alpha, np.random.default_rng(seed)))
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
    shares = np.array([draw(1, 0.2, rng)[0] for _ in range(4000)])
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.var() - 1 / (4 * (2 * 0.2 + 1))) < 0.01


@given(seed=st.integers(0, 99), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_an_epoch_is_mixed_batch_by_batch_arrays_and_tensors_alike(
    seed: int, sizes: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    batches = [
        (rng.normal(size=(n, 3, 2, 2)).astype(np.float32), rng.integers(0, 9, n)) for n in sizes
    ]
    sent = [tuple(paddle.to_tensor(values) for values in batch) for batch in batches]
    arrays, tensors = (
        list(mixtures(kind, sizes, 0.5, np.random.default_rng(seed))) for kind in (batches, sent)
    )
    own = np.random.default_rng(seed)
    for (pixels, labels), one, other in zip(batches, arrays, tensors, strict=True):
        share, partners = draw(len(labels), 0.5, own)
        assert one.share == other.share == share
        assert one.pixels.dtype == np.float32
        assert np.array_equal(one.others, labels[partners])
        assert isinstance(other.pixels, paddle.Tensor)
        assert np.array_equal(one.others, other.others.numpy())
        np.testing.assert_allclose(one.pixels, other.pixels.numpy(), atol=1e-6)
        assert np.array_equal(one.pixels, mix(pixels, labels, share, partners).pixels)


def test_mixing_tensors_sends_one_array_an_epoch(forbid_transfers: Callable[[], None]) -> None:
    batch = (paddle.ones([4, 3, 2, 2]), paddle.arange(4))
    mixed = mixtures([batch] * 3, [4] * 3, 0.5, np.random.default_rng(0))
    next(mixed)
    forbid_transfers()
    assert len(list(mixed)) == 2


def test_unmixed_is_the_batch() -> None:
    pixels, labels = np.ones((2, 3, 1, 1), np.float32), np.arange(2)
    mixture = unmixed(pixels, labels)
    assert mixture.pixels is pixels
    assert (mixture.share, list(mixture.others)) == (1.0, [0, 1])
