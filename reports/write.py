"""Writes a study's report: tables, picture and text, each file whole or not at all."""

from pathlib import Path

from models.errors import StorageError
from models.whole_file import replacing
from reports.figures import write_figure
from reports.markdown import PICTURE, report
from reports.study import Study
from reports.tables import (
    differences_table,
    effects_table,
    finalists_table,
    front_table,
    to_csv,
    trials_table,
)
from search.effects import effects
from search.export import write_picks
from search.run_folder import REPORT


def write_report(run_folder: Path, study: Study | None = None) -> Path:
    """Writes the report of the study in `run_folder`, as it was read, else read now; its folder.

    Raises InputError where there is no study and StorageError where files cannot be read or
    written.
    """
    study = study or Study.read(run_folder)
    folder = run_folder / REPORT
    front = front_table(study.trials, study.objectives, study.validation_images)
    found = effects(study.trials)
    texts = {
        "trials.csv": to_csv(trials_table((*study.trials, *study.scratch, *study.finalists))),
        "pareto.csv": to_csv(front),
        "effects.csv": to_csv(effects_table(found)),
        "report.md": report(study, found),
    }
    if study.finals:
        texts["finalists.csv"] = to_csv(finalists_table(study.finals))
        texts["comparisons.csv"] = to_csv(differences_table(study.differences))
    try:
        if study.storage is not None:
            run_folder.mkdir(parents=True, exist_ok=True)  # a study on a server may have none here
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            with replacing(folder / name) as path:
                path.write_text(text, encoding="utf-8", newline="\n")
        with replacing(folder / PICTURE) as path:
            write_figure(study, path)
    except OSError as error:
        raise StorageError(f"{folder}: the report cannot be written: {error}") from error
    write_picks(run_folder, study)
    return folder
