"""From trainings that have ended to the files that are shipped, all of them or none."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import paddle

from models.build import build
from models.weights import load_weights
from models.whole_file import flush
from trainers import card
from trainers.card_text import card_text
from trainers.data.search_split import training_sample
from trainers.exported import FILES, Exported, export_forms
from trainers.full_training import storing
from trainers.speed import SpeedError, Speeds, measure_speed

PARITY_IMAGES = 8


def publish(
    trained: card.Trained,
    weights: Path,
    recipe: Path,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Puts the exported forms and the card of the best training beside the file `recipe`.

    `weights`: those of that training. Everything is written and checked in a folder of its own, and
    only then takes the place of what was there; the card comes last. On the CPU, wherever it was
    trained. Raises ParityError and leaves everything as it was, if a form computes something else.
    """
    folder = recipe.parent
    with storing(folder):
        for left in weights.parent.glob(".export-*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=".export-", dir=weights.parent))
        try:
            _make(trained, weights, made, recipe.name, say)
            _move(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _make(
    trained: card.Trained, weights: Path, made: Path, name: str, say: Callable[[str], None]
) -> None:
    job, subject = trained.job, trained.subject
    paddle.set_device("cpu")
    size = job.recipe.data.image_size
    network = build(job.architecture, size, seed=0)
    load_weights(network, weights)
    images = training_sample(job.recipe.data, job.data_folder, PARITY_IMAGES)
    notes = {
        "class_names": json.dumps(list(subject.class_names)),
        "mean": json.dumps(list(subject.mean)),
        "deviation": json.dumps(list(subject.deviation)),
        "architecture_id": job.architecture.architecture_id,
    }
    say("exporting, and comparing each form with the trained network")
    exported = export_forms(network, images, made, notes)
    _say_exported(exported, say)
    say("measuring how fast each form is")
    speeds = _speeds(trained, made)
    facts = card.card_facts(trained, exported, speeds, made, name)
    (made / card.JSON).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (made / card.TEXT).write_text(card_text(facts), "utf-8")


def _say_exported(exported: Exported, say: Callable[[str], None]) -> None:
    for form, off in exported.parity.items():
        say(f"{form}: logits differ by at most {off:.1e} of their scale")
    if exported.no_onnx:
        say(f"no ONNX model: {exported.no_onnx}")


def _speeds(trained: card.Trained, made: Path) -> Speeds | str:
    job = trained.job
    try:
        return measure_speed(
            made,
            job.architecture.to_json(),
            job.recipe.data.image_size,
            trained.subject.image_size,
        )
    except SpeedError as error:
        return str(error)


def _move(made: Path, folder: Path) -> None:
    """What a kill leaves here has no card, and so is no export."""
    for path in made.iterdir():
        flush(path)
    (folder / card.JSON).unlink(missing_ok=True)
    for name in (*FILES, card.TEXT, card.JSON):
        if (made / name).is_file():
            (made / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    flush(folder)
