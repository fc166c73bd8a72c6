"""`report.md`: the question, the answer, the evidence, and how far to trust it."""

from collections.abc import Sequence

from reports.findings import Findings
from reports.plot import Plot
from reports.sections import ANSWER, question, sections
from reports.study import Study
from reports.wording import prose

PICTURE = "pareto.png"
PLOTS = "plots"


def report(study: Study, findings: Findings | None = None, plots: Sequence[Plot] = ()) -> str:
    """The report in Markdown; the same text for the same ledger. `plots` lie in `PLOTS`."""
    parts = [[f"# {prose(study.name)}", "", question(study)]]
    for section in sections(study, findings or Findings.of(study)):
        shown = [plot for plot in plots if plot.name.startswith(section.plots or "/")]
        pictures = [f"![{prose(plot.alt)}]({PLOTS}/{plot.name}.png)" for plot in shown]
        lines = [line for picture in pictures for line in ("", picture)]
        parts.append([f"## {section.title}", "", *section.lines, *lines])
        if section.name == ANSWER:
            parts.append([f"![Accuracy against parameters and latency]({PICTURE})"])
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"
