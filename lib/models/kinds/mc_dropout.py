"""A baseline: passes of one network, each of which drops other channels."""

from collections.abc import Sequence

from monai.networks.nets import SegResNetDS

from lib.models.kinds.baseline import NETWORKS, Baseline, baseline_settings, train_on_all
from lib.models.kinds.method import Method
from lib.networks.dropout import fix_dropout
from lib.preprocessing.plan import Plan
from lib.task.task import Task
from lib.training.folds import Fold
from lib.training.loss import LossWeight
from lib.training.member_job import MemberJob, member_jobs

DROPOUT = 0.1
"""Probability with which a channel is dropped; the paper's."""


class MonteCarloDropout(Baseline):
    """Seven passes with dropout at w^DSC (paper, section 3; Gal and Ghahramani, 2016)."""

    name = Method.DROPOUT
    members = "passes of one network with dropout"

    def settings(self, task: Task) -> Task:
        """Give those of a baseline, and the network with dropout."""
        return baseline_settings(task, network=task.network.model_copy(update={"dropout": DROPOUT}))

    def jobs(
        self, task: Task, plan: Plan, folds: Sequence[Fold], w_dsc: LossWeight
    ) -> tuple[tuple[MemberJob, ...], ...]:
        """Give the one network seven times."""
        return member_jobs(self.settings(task), plan, train_on_all(folds, 1), [w_dsc]) * NETWORKS

    def finish_network(self, network: SegResNetDS, *, dropout: float, fold: int) -> None:
        """Drop the channels of this pass, see `lib.networks.dropout.fix_dropout`."""
        fix_dropout(network, dropout, seed=fold)
