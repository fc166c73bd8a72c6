"""How a candidate is trained and on which images: the `data` and `training` parts of a space."""

from typing import Annotated, Literal

from pydantic import Field

from models.sections import Section

PositiveInt = Annotated[int, Field(gt=0, le=10**9)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Augmentation(Section):
    """Random changes to training images; every one is off at 0 or `false`.

    `crop_padding`: pixels of zero padding around the image before a random crop of the old size.
    `resized_crop`: the least share of the image that a random part stretched to its size has.
    `flip`: mirror left to right with probability one half; `alternating` mirrors a random half of
    the images in one epoch and the other half in the next.
    `rotation`: up to so many degrees either way.
    `brightness`, `contrast`, `saturation`: by a factor between 1 minus and 1 plus this.
    `cutout`: side in pixels of a square that is set to the channel mean.
    """

    crop_padding: Annotated[int, Field(ge=0, le=64)] = 4
    resized_crop: Fraction = 0.0
    flip: bool | Literal["alternating"] = True
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    cutout: Annotated[int, Field(ge=0, le=512)] = 0


class DataConfig(Section):
    """Which images a candidate sees.

    `path`: where the data set lies; `None` looks in the cache and then asks the known sources.
    `train_images`, `validation_images`: how many of the training split serve as either, drawn
    class by class with `split_seed`; `train_images: None` takes all that validation leaves.
    """

    name: Literal["cifar10"] = "cifar10"
    path: str | None = None
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    train_images: PositiveInt | None = None
    validation_images: PositiveInt = 5000
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    augmentation: Augmentation = Augmentation()


class EarlyStopping(Section):
    """When a candidate's training is given up; the baseline and the controls never are.

    `patience`: epochs without an improvement of at least `min_improvement` of the validation
    accuracy (a fraction); `None` switches it off. `dominated`: give up a candidate that, at the
    same epoch, was more than `margin` less accurate than a fully trained one that costs no more
    in any objective. Neither acts before `grace_epochs` epochs are done.
    """

    patience: PositiveInt | None = None
    min_improvement: Fraction = 0.001
    dominated: bool = True
    margin: Fraction = 0.02
    grace_epochs: PositiveInt = 1


class TrainingConfig(Section):
    """The recipe every candidate of a study is trained by.

    `schedule` scales `learning_rate` step by step: `triangular` rises linearly over
    `warmup_fraction` of the steps and falls linearly to 0, `cosine` does the same with a half
    cosine, `step` divides by 10 at each fraction in `milestones`, `constant` leaves it alone.
    `mixup`: the α of the Beta distribution by which images are mixed; 0 mixes none.
    `norm_bias_factor`: how much higher the learning rate of the batch norms' shifts is; their
    weight decay is divided by it, so that they decay as fast as the rest. `average`: the decay of
    an exponential moving average of the weights, which is then what is validated; 0 has none.
    """

    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.1
    momentum: Fraction = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    schedule: Literal["triangular", "cosine", "step", "constant"] = "triangular"
    warmup_fraction: Fraction = 0.2
    milestones: Annotated[tuple[Fraction, ...], Field(strict=False)] = (0.3, 0.6, 0.9)
    epochs: PositiveInt = 30
    batch_size: PositiveInt = 128
    label_smoothing: Fraction = 0.1
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    norm_bias_factor: Annotated[float, Field(gt=0, le=1000)] = 1.0
    average: Fraction = 0.0
    early_stopping: EarlyStopping = EarlyStopping()
