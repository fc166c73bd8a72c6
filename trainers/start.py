"""The weights a candidate begins with: found and checked once, inherited by every candidate."""

from pathlib import Path

import paddle

from models.architecture import Architecture, Backbone
from models.backbone import BackboneNetwork
from models.build import build
from models.checksum import sha256, write_with_checksum
from models.errors import InputError
from models.weights import load_weights, published_weights
from trainers.config import PADDLE, TrainingConfig
from trainers.messages import Start


def find_start(training: TrainingConfig, backbone: Backbone, image_size: int) -> Start:
    """The file of weights that `training.start` names, tried on the plain backbone.

    Raises InputError where there is none, it is damaged, or it does not fit.
    """
    published = training.start == PADDLE
    new_classifier = training.warm.new_classifier or published
    network = build(Architecture(backbone), image_size, seed=0)
    try:
        path = published_weights(backbone) if published else Path(training.start)
        load_weights(network, path, new_classifier=new_classifier)
    except InputError as error:
        flag = "-o training.warm.new_classifier=true"
        raise InputError(f"training.start: {error}".replace("--new-classifier", flag)) from None
    return Start(str(path.resolve()), sha256(path), new_classifier)


def refuse_changed(start: Start) -> None:
    """Raises InputError where the file is not the one that the study began with."""
    path = Path(start.path)
    if not path.is_file():
        raise InputError(
            f"{path}: the weights that this study's candidates inherit are gone: put the file "
            "back, or begin anew (--fresh)"
        )
    if sha256(path) != start.checksum:
        raise InputError(
            f"{path}: its SHA-256 is not the one the study began with, so it was changed or "
            "damaged: put the old file back, or begin anew (--fresh)"
        )


def inherit_start(network: BackboneNetwork, start: Start, images: paddle.Tensor) -> None:
    """Gives `network` the weights of `start`; `images` as for `models.insertion.inherit`."""
    refuse_changed(start)
    path = Path(start.path)
    load_weights(network, path, new_classifier=start.new_classifier, images=images)


def save_start(network: BackboneNetwork, path: Path) -> Start:
    """Writes the weights of `network` to `path`, whole or not at all, its checksum beside it."""
    state = network.state_dict()

    def write(temporary: Path) -> None:
        paddle.save(dict(state), str(temporary), safetensors=True)

    return Start(str(path.resolve()), write_with_checksum(path, write))
