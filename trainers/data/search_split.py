"""The images a search sees: train and validation, both of the data set's training split."""

from pathlib import Path

from trainers.config import DataConfig, TrainingConfig
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.data.split import Split, split_record, stratified_split
from trainers.data.store import ImageSet, open_train

EVALUATION_BATCH = 250


def search_batches(
    data: DataConfig, training: TrainingConfig, folder: Path, seed: int
) -> tuple[TrainingBatches, EvaluationBatches]:
    """Training and validation batches; `folder` is what `store.prepare` returned.

    Raises InputError for more images, or larger batches, than there are images.
    """
    image_set, split = _search_split(data, folder)
    batches = TrainingBatches(
        image_set,
        split.train,
        batch_size=training.batch_size,
        augmentation=data.augmentation,
        seed=seed,
    )
    return batches, EvaluationBatches(image_set, split.validation, batch_size=EVALUATION_BATCH)


def describe_split(data: DataConfig, folder: Path) -> dict[str, int | str]:
    """What a study records of its images: data set, checksum, sizes and checksums of the parts."""
    image_set, split = _search_split(data, folder)
    record = split_record(split, data.split_seed)
    return {"name": data.name, "checksum": image_set.checksum, **record}


def _search_split(data: DataConfig, folder: Path) -> tuple[ImageSet, Split]:
    image_set = open_train(folder, data.name)
    split = stratified_split(
        image_set.labels, data.train_images, data.validation_images, data.split_seed
    )
    return image_set, split
