"""Writes a study's report: page, text, tables and drawings, each file whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from models.errors import StorageError
from models.whole_file import replacing
from reports.curve_plots import curve_plots, growth_plots
from reports.figures import overview
from reports.finalist_plots import finalist_plots
from reports.findings import Findings
from reports.front_plots import front_plots
from reports.html import page
from reports.markdown import PLOTS, report
from reports.plot import Plot, styled
from reports.record import record
from reports.study import Study
from reports.tables import (
    curves_table,
    differences_table,
    effects_table,
    finalists_table,
    front_table,
    to_csv,
    trials_table,
)
from reports.where_plots import where_plots
from search.export import write_picks
from search.run_folder import REPORT

PAGE = "report.html"
OVERVIEW = "pareto"

Write = Callable[[Path], object]


def write_report(run_folder: Path, study: Study | None = None) -> Path:
    """Writes the report of the study in `run_folder`, as it was read, else read now; its folder.

    Raises InputError where there is no study and StorageError where files cannot be read or
    written.
    """
    study = study or Study.read(run_folder)
    findings = Findings.of(study)
    with styled():
        return _written(run_folder, study, findings)


def _written(run_folder: Path, study: Study, findings: Findings) -> Path:
    folder = run_folder / REPORT
    plots = all_plots(study, findings)
    tables = _tables(study, findings)
    files = {**_texts(study, findings, plots, tables), **_pictures(study, plots)}
    files |= {f"{name}.parquet": _parquet(table) for name, table in tables.items()}
    try:
        if study.storage is not None:
            run_folder.mkdir(parents=True, exist_ok=True)  # a study on a server may have none here
        folder.mkdir(exist_ok=True)
        (folder / PLOTS).mkdir(exist_ok=True)
        for name, write in files.items():
            with replacing(folder / name) as path:
                write(path)
    except OSError as error:
        raise StorageError(f"{folder}: the report cannot be written: {error}") from error
    write_picks(run_folder, study)
    return folder


def all_plots(study: Study, findings: Findings) -> list[Plot]:
    """Every drawing that there is something to draw for."""
    return [
        *finalist_plots(study),
        *front_plots(study),
        *curve_plots(study),
        *growth_plots(findings.growth),
        *where_plots(findings.effects, findings.importances),
    ]


def _tables(study: Study, findings: Findings) -> dict[str, pd.DataFrame]:
    trials = (*study.trials, *study.scratch, *study.finalists)
    final = {
        "finalists": finalists_table(study.finals),
        "comparisons": differences_table(study.differences),
    }
    return (final if study.finals else {}) | {
        "trials": trials_table(trials),
        OVERVIEW: front_table(study.trials, study.objectives, study.validation_images),
        "effects": effects_table(findings.effects),
        "curves": curves_table(trials),
    }


def _texts(
    study: Study, findings: Findings, plots: list[Plot], tables: Mapping[str, pd.DataFrame]
) -> dict[str, Write]:
    texts = {f"{name}.csv": to_csv(table) for name, table in tables.items() if name != "curves"}
    texts |= {
        "report.md": report(study, findings, plots),
        "report.json": record(study, findings),
    }
    files = sorted([*texts, *(f"{name}.parquet" for name in tables), f"{OVERVIEW}.png"])
    texts[PAGE] = page(study, findings, plots, files)
    return {name: _text(text) for name, text in texts.items()}


def _pictures(study: Study, plots: list[Plot]) -> dict[str, Write]:
    found: dict[str, Write] = {}
    for plot in (overview(study), *plots):
        name = plot.name if plot.name == OVERVIEW else f"{PLOTS}/{plot.name}"
        found[f"{name}.png"] = plot.png
        found[f"{name}.svg"] = _svg(plot)
    return found


def _text(text: str) -> Write:
    return lambda path: path.write_text(text, encoding="utf-8", newline="\n")


def _svg(plot: Plot) -> Write:
    return lambda path: path.write_text(plot.svg, encoding="utf-8", newline="\n")


def _parquet(table: pd.DataFrame) -> Write:
    return lambda path: table.to_parquet(path, index=False)
