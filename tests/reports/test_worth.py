"""What the report says of blocks and places."""

import dataclasses

from example_study import OBJECTIVES, SPACE, architecture, trial

from reports.findings import Findings
from reports.markdown import report
from reports.study import Study
from reports.where import TOO_FEW
from reports.worth import worth
from search.effects import Effect, Gain
from search.trial import Role

EFFECTS = [
    Effect("type", "se", 7, Gain(0.0123, -0.005, 0.0296), Gain(0.02, 0.01, 0.03)),
    Effect("stage", "stage3", 1, Gain(-0.01, -0.1, 0.08), None),
    Effect("option", "se, reduction=4", 2, Gain(0.0, -0.1, 0.1), None),
]


def test_a_row_for_each_block_and_place() -> None:
    assert worth(EFFECTS)[-2:] == [
        "| block | `se` | 7 | +1.23 | -0.50 | +2.96 |",
        "| stage | `stage3` | 1 | -1.00 | -10.00 | +8.00 |",
    ]


def test_a_report_has_it_where_there_is_any() -> None:
    study = Study(
        "s", OBJECTIVES, (trial(0, 0.9, role=Role.BASELINE, placed=architecture()),), SPACE
    )
    assert f"## Where attention helps\n\n{TOO_FEW}\n" in report(study)
    findings = dataclasses.replace(Findings.of(study), effects=tuple(EFFECTS))
    text = report(study, findings)
    assert "## Where attention helps\n\nWhat one placement gains" in text
    assert TOO_FEW not in text
