import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InputError
from trainers.data.split import split_record, stratified_split


def balanced(classes: int, per_class: int) -> np.ndarray:
    return np.random.default_rng(7).permutation(np.arange(classes * per_class) % classes)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, int, int, int]:
    labels = balanced(draw(st.integers(1, 6)), draw(st.integers(2, 20)))
    validation = draw(st.integers(1, len(labels) - 1))
    train = draw(st.integers(1, len(labels) - validation))
    return labels, train, validation, draw(st.integers(0, 2**32 - 1))


def spread(labels: np.ndarray, indices: np.ndarray) -> int:
    counts = np.bincount(labels[indices], minlength=labels.max() + 1)
    return int(counts.max() - counts.min())


@given(cases())
def test_disjoint_sorted_and_of_the_sizes_asked_for(case: tuple) -> None:
    labels, train, validation, seed = case
    split = stratified_split(labels, train, validation, seed)
    assert (len(split.train), len(split.validation)) == (train, validation)
    both = np.concatenate([split.train, split.validation])
    assert len(np.unique(both)) == len(both)
    assert both.min() >= 0 and both.max() < len(labels)
    for indices in (split.train, split.validation):
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()


@given(cases())
def test_class_counts_differ_by_at_most_one(case: tuple) -> None:
    labels, train, validation, seed = case
    split = stratified_split(labels, train, validation, seed)
    assert spread(labels, split.train) <= 1
    assert spread(labels, split.validation) <= 1


@given(cases())
def test_fewer_training_images_are_a_subset_and_validation_stays(case: tuple) -> None:
    labels, train, validation, seed = case
    fewer = stratified_split(labels, train, validation, seed)
    everything = stratified_split(labels, None, validation, seed)
    assert np.array_equal(fewer.validation, everything.validation)
    assert np.isin(fewer.train, everything.train).all()
    assert len(everything.train) == len(labels) - validation


@given(cases())
def test_deterministic_under_its_seed(case: tuple) -> None:
    labels, train, validation, seed = case
    records = [
        split_record(stratified_split(labels, train, validation, seed), seed) for _ in range(2)
    ]
    assert records[0] == records[1]
    assert records[0]["train_images"] == train
    assert records[0]["validation_images"] == validation
    assert records[0]["split_seed"] == seed


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_unequal_classes_appear_in_proportion(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    if len(labels) < 2:
        return
    validation = data.draw(st.integers(1, len(labels) - 1))
    split = stratified_split(labels, None, validation, seed)
    counts = np.bincount(labels[split.validation], minlength=len(sizes))
    wanted = np.array(sizes) * validation / len(labels)
    assert (np.abs(counts - wanted) <= len(sizes)).all()


def test_other_seeds_draw_other_images() -> None:
    labels = balanced(10, 50)
    first, second = (stratified_split(labels, 100, 100, seed) for seed in (0, 1))
    assert not np.array_equal(first.validation, second.validation)
    assert split_record(first, 0)["train_sha256"] != split_record(second, 1)["train_sha256"]


@pytest.mark.parametrize(
    ("train", "validation", "key"),
    [
        (91, 10, "data.train_images"),
        (0, 10, "data.train_images"),
        (None, 100, "data.validation_images"),
        (None, 0, "data.validation_images"),
        (1, 101, "data.validation_images"),
    ],
)
def test_more_than_there_is_names_the_key_and_what_is_there(
    train: int | None, validation: int, key: str
) -> None:
    with pytest.raises(InputError, match=rf"{key}: .* given; allowed are 1 to .*100 images"):
        stratified_split(balanced(10, 10), train, validation, 0)
