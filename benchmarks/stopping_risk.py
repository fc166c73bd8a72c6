"""How many of those that would reach the front early stopping gives up, where all ends are known.

Made-up studies, one candidate after the other, in which the rule `curve` does what it does in a
search, so that what it gave up is missing from what it goes by. A candidate reaches the front if
it ends no worse than every fully trained one that costs no more in anything; the first of a study
do not count, since the rule gives up none of them. It promises to give up no more than `risk` of
those that reach the front, and a tenth of that of all that are begun.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy import stats

from benchmarks.machine import describe
from models.architecture import Architecture, Backbone
from search.early_stopping import costs_no_more, reason_to_stop
from search.sampling.curves import FEWEST
from search.space_file import EarlyStopping
from search.trial import Role, State, Trial
from trainers.messages import EpochResult

CANDIDATES, EPOCHS = 40, 9  # of a study
SPREAD = 0.03  # standard deviation of final accuracies at the same cost


@dataclass(frozen=True)
class Kind:
    """What studies are like.

    `noise`: standard deviation of accuracies before the last epoch around a line that leads to it.
    `worth`: accuracy that twice the cost is worth. `ahead`: by how many standard deviations the
    first candidate, the cheapest, is better than others. `costs`: those that count, of which only
    the parameters are worth anything.
    """

    noise: float
    worth: float = 0.0
    ahead: float = 0.0
    costs: tuple[str, ...] = ("params",)


@dataclass(frozen=True)
class Counted:
    """Candidates that might be given up.

    `begun`: all. `given_up`: those that were. `reaching`: those that would reach the front, of
    which `lost` were given up. `spared`: epochs that were not trained, of `EPOCHS` for each.
    """

    begun: int = 0
    given_up: int = 0
    reaching: int = 0
    lost: int = 0
    spared: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def most_lost(self, risk: float) -> float:
        """What the rule promises to lose at most."""
        return risk * self.reaching + 0.1 * risk * self.begun


def study(kind: Kind, risk: float, seed: int) -> Counted:
    """One study. Equal seeds have equal candidates."""
    rng = np.random.default_rng(seed)
    rules = EarlyStopping(rule="curve", risk=risk)
    known = [_drawn(kind, 0, rng)]
    counted = Counted()
    for number in range(1, CANDIDATES):
        candidate = _drawn(kind, number, rng)
        whole = [other for other in known if other.state is State.COMPLETE]
        epochs = _trained(candidate, known, rules, kind.costs)
        given_up, reaches = epochs < EPOCHS, _reaches(candidate, whole, kind.costs)
        if len(whole) >= FEWEST:
            counted += Counted(1, given_up, reaches, given_up and reaches, EPOCHS - epochs)
        known.append(_cut(candidate, epochs, State.STOPPED) if given_up else candidate)
    return counted


def studies(kind: Kind, risk: float, many: int) -> Counted:
    """So many studies."""
    return sum((study(kind, risk, seed) for seed in range(many)), Counted())


def _drawn(kind: Kind, number: int, rng: np.random.Generator) -> Trial:
    cost = rng.uniform(1, 2) if number else 1.0
    final = 0.5 + kind.worth * np.log2(cost) + SPREAD * rng.normal()
    if not number:
        final = 0.5 + kind.ahead * SPREAD
    accuracies = final - 0.02 * np.arange(EPOCHS)[::-1] + kind.noise * rng.normal(size=EPOCHS)
    accuracies[-1] = final
    accuracies = accuracies.clip(0, 1)
    macs = rng.uniform(1, 2) if number and "macs" in kind.costs else 1.0
    return Trial(
        number=number,
        state=State.COMPLETE,
        role=Role.CANDIDATE,
        architecture=Architecture(Backbone()),
        params=round(1e6 * cost),
        summary_params=0,
        macs=round(1e8 * macs),
        latency_ms=None,
        latency=None,
        worker=None,
        curve=tuple(
            EpochResult(epoch, float(accuracy), 0.0, 0.0, 1.0, 0.0, 1.0)
            for epoch, accuracy in enumerate(accuracies, start=1)
        ),
        reason="",
        over_budget=(),
        epochs=EPOCHS,
    )


def _trained(
    candidate: Trial, known: Sequence[Trial], rules: EarlyStopping, costs: Sequence[str]
) -> int:
    """The epochs that it is trained for."""
    for epochs in range(1, EPOCHS):
        if reason_to_stop(_cut(candidate, epochs, State.RUNNING), known, rules, costs):
            return epochs
    return EPOCHS


def _cut(whole: Trial, epochs: int, state: State) -> Trial:
    return replace(whole, curve=whole.curve[:epochs], state=state)


def _reaches(candidate: Trial, whole: Sequence[Trial], costs: Sequence[str]) -> bool:
    rivals = (o.val_accuracy or 0.0 for o in whole if costs_no_more(o, candidate, costs))
    return (candidate.val_accuracy or 0.0) >= max(rivals)


KINDS = {
    "curves say nearly all": Kind(0.005),
    "curves say something": Kind(0.03),
    "curves say little": Kind(0.1),
    "larger ones are better": Kind(0.03, worth=0.1),
    "of two costs, larger better": Kind(0.03, worth=0.1, costs=("params", "macs")),
    "few reach the front": Kind(0.03, ahead=2.0),
    "nothing reaches the front": Kind(0.03, ahead=6.0),
}


def main() -> None:
    """Prints what was lost, with its interval, and what was spared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few studies, one risk")
    parser.add_argument("--studies", type=int, default=100, help="of each kind")
    parser.add_argument("--risks", type=float, nargs="+", default=[0.05, 0.2])
    given = parser.parse_args()
    if given.quick:
        given.studies, given.risks = 5, [0.05]
    print(describe())
    print(f"{given.studies} studies of {CANDIDATES} candidates and {EPOCHS} epochs each")
    print(f"{'':29}risk  reaching  lost, 95 % interval       promised  given up  epochs spared")
    for name, kind in KINDS.items():
        for risk in given.risks:
            found = studies(kind, risk, given.studies)
            whole = max(found.reaching, 1)
            low, high = stats.binomtest(found.lost, whole).proportion_ci(0.95)
            lost = f"{found.lost / whole:.1%} ({low:.1%} to {high:.1%})"
            most = f"{found.most_lost(risk) / whole:.1%}" if found.reaching else "-"
            parts = (found.given_up / found.begun, found.spared / (EPOCHS * found.begun))
            shown = "".join(f"{part:>10.1%}" for part in parts)
            print(f"{name:29}{risk:<6g}{found.reaching:>8}  {lost:26}{most:>8}{shown}", flush=True)


if __name__ == "__main__":
    main()
