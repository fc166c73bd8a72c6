"""The weights that a study's candidates inherit, the same from its first run to its last."""

from dataclasses import replace
from pathlib import Path

from models.errors import InputError
from search.ledger import Ledger
from search.space import Space
from trainers.config import BASELINE
from trainers.messages import Start
from trainers.start import find_start, refuse_changed

FILE = "baseline.safetensors"


def given_start(space: Space) -> Start | None:
    """The weights from outside that a space names, tried on its backbone; None where it has none.

    Raises InputError where they cannot be had, are damaged or do not fit.
    """
    training = space.file.training
    if not training.inherits or training.start == BASELINE:
        return None
    return find_start(training, space.file.backbone, space.file.data.image_size)


def agree_on_start(ledger: Ledger, given: Start | None, folder: Path) -> None:
    """Notes the weights in a new study, and sees that those of an old one are still the same.

    The baseline's own are `FILE` in the study's folder. Raises InputError where they differ.
    """
    noted = ledger.start
    if noted is None:
        if given is not None:
            ledger.note_start(given)
        return
    if given is None:
        noted = replace(noted, path=str((folder / FILE).resolve()))
        refuse_changed(noted)
    elif given.checksum != noted.checksum:
        raise InputError(
            f"{given.path}: its SHA-256 is not that of the weights this study began with; give the "
            "old file, or give the new study its own name (--study NAME)"
        )
    ledger.note_start(given or noted)
