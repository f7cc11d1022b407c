"""A baseline: networks that differ by their seeds alone."""

from collections.abc import Sequence

from monai.networks.nets import SegResNetDS

from lib.models.kinds.baseline import NETWORKS, Baseline, baseline_settings, train_on_all
from lib.models.kinds.method import Method
from lib.preprocessing.plan import Plan
from lib.task.task import Task
from lib.training.folds import Fold
from lib.training.loss import LossWeight
from lib.training.member_job import MemberJob, member_jobs


class DeepEnsemble(Baseline):
    """Seven networks of different seeds at w^DSC (paper, section 3; Lakshminarayanan et al., 2017)."""

    name = Method.SEEDS
    members = "networks that differ by their seeds"

    def settings(self, task: Task) -> Task:
        """Give those of a baseline."""
        return baseline_settings(task)

    def jobs(
        self, task: Task, plan: Plan, folds: Sequence[Fold], w_dsc: LossWeight
    ) -> tuple[tuple[MemberJob, ...], ...]:
        """Give seven networks; seeds follow from their numbers."""
        return member_jobs(self.settings(task), plan, train_on_all(folds, NETWORKS), [w_dsc])

    def finish_network(self, network: SegResNetDS, *, dropout: float, fold: int) -> None:
        """Leave the network as it is."""
