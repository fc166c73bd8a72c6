"""`Findings`: what is worked out from a study's trials, once for all forms of a report."""

from dataclasses import dataclass
from typing import Self

from reports.study import Study
from search.effects import Effect, effects
from search.hypervolume import Moment, growth
from search.importances import Importances, importances
from search.sampling.one_thread import one_thread


@dataclass(frozen=True)
class Findings:
    """What placements are worth, how the front grew, and which choices mattered."""

    effects: tuple[Effect, ...]
    growth: tuple[Moment, ...]
    importances: Importances

    @classmethod
    def of(cls, study: Study) -> Self:
        """Those of a study, in a second or two for hundreds of trials."""
        with one_thread():
            return cls(
                effects=tuple(effects(study.trials)),
                growth=tuple(growth(study.trials, study.objectives)),
                importances=importances(study.trials, study.objectives),
            )
