"""The `data` section: what published sets and folders of images have in common, and what not."""

import pytest
from pydantic import ValidationError

from trainers.config import DataConfig, validation_share

OF_CIFAR = {
    "name", "image_size", "train_images", "validation_images", "split_seed", "augmentation",
}  # fmt: skip


@pytest.mark.parametrize(
    ("images", "judges"),
    [(50_000, 5000), (21_000, 2100), (5000, 500), (3000, 500), (2500, 500), (1000, 200), (256, 51),
     (5, 1), (2, 1)],
)  # fmt: skip
def test_how_many_validate(images: int, judges: int) -> None:
    assert validation_share(images) == judges
    assert DataConfig().settled(images).judges == judges


def test_what_is_said_stays() -> None:
    data = DataConfig(validation_images=7)
    assert data.settled(50_000) == data
    assert data.judges == 7
    with pytest.raises(ValueError, match="not known before"):
        _ = DataConfig().judges


def test_the_fingerprint_of_cifar_is_what_it_was() -> None:
    assert DataConfig(path="x").settled(50_000).fingerprint.keys() == OF_CIFAR
    assert DataConfig().settled(50_000).fingerprint["validation_images"] == 5000


def test_the_fingerprint_of_a_folder_has_what_decides_on_its_images() -> None:
    data = DataConfig(name="folder", path="x", test_share=0.3, unusable="skip")
    assert data.fingerprint.keys() == OF_CIFAR | {"test_share"}


@pytest.mark.parametrize("given", [{"test_share": 0.3}, {"unusable": "skip"}])
def test_published_sets_have_their_own_test_split(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="is for name: folder; cifar10 has a test split"):
        DataConfig.model_validate(given)


@pytest.mark.parametrize(
    "data", [DataConfig(), DataConfig(name="folder", path="x", test_share=0.3, unusable="skip")]
)
def test_what_is_written_out_is_read_again(data: DataConfig) -> None:
    for whole in (data, data.settled(1000)):
        assert DataConfig.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize("share", [0.0, 1.0, 0.95, -0.1])
def test_shares_leave_images_to_train_and_to_test_on(share: float) -> None:
    with pytest.raises(ValidationError, match="test_share"):
        DataConfig(name="folder", path="x", test_share=share)
