"""What is tried apart from what the sampler proposes, in which order and by which recipe.

First the baseline and the residual control, then listed candidates; last, where candidates inherit
weights, some of them from scratch, to see whether both orders agree. For what follows see
`search.finalists`.
"""

from collections.abc import Collection, Sequence

from models.architecture import Architecture
from search.ledger import Proposal
from search.space import Space
from search.trial import Role, State, Trial


def fixed(space: Space, held: Collection[Architecture]) -> list[Proposal]:
    """Backbone, residual control, listed candidates that are not in `held`."""
    roles = {space.baseline: Role.BASELINE, space.control: Role.CONTROL}
    names = {architecture: name for name, architecture in space.candidates.items()}
    return [
        Proposal(architecture, roles.get(architecture, Role.CANDIDATE), names.get(architecture, ""))
        for architecture in space.fixed
        if architecture not in held
    ]


def checks(space: Space, trials: Sequence[Trial]) -> list[Proposal]:
    """Candidates that are still to be trained from scratch, evenly spread over the warm order.

    From the best to the worst of those that were fully trained; the baseline's own two trainings
    are a pair already.
    """
    if not space.file.training.inherits:
        return []
    made = {trial.architecture_id for trial in trials if trial.role is Role.CHECK}
    left = space.file.training.warm.checks - len(made)
    warm = [t for t in trials if t.state is State.COMPLETE and t.role.contends]
    ranked = sorted(warm, key=lambda trial: (-(trial.val_accuracy or 0.0), trial.number))
    open_ = [t for t in ranked if t.role is not Role.BASELINE and t.architecture_id not in made]
    return [Proposal(t.architecture, Role.CHECK, t.name) for t in _spread(open_, left)]


def _spread(trials: Sequence[Trial], many: int) -> list[Trial]:
    """So many of `trials`, with equal gaps, the first and the last among them."""
    many = min(many, len(trials))
    if many <= 1:
        return list(trials[: max(many, 0)])
    return [trials[round(i * (len(trials) - 1) / (many - 1))] for i in range(many)]
