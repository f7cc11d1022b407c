"""The paper's method: members from sensitive to precise, calibrated on scans that they have not seen."""

from collections.abc import Sequence

from monai.networks.nets import SegResNetDS

from lib.calibration.base import Calibration
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.models.kinds.method import Method
from lib.preprocessing.plan import Plan
from lib.task.task import Task
from lib.training.folds import Fold
from lib.training.loss import LossWeight
from lib.training.member_job import MemberJob, member_jobs


class Calibrated:
    """Every fold of a cross-validation at every loss weight w^DSC + offset; what is served."""

    name = Method.CALIBRATED
    members = "all members"
    is_baseline = False

    def settings(self, task: Task) -> Task:
        """Give the settings as they are."""
        return task

    def jobs(
        self, task: Task, plan: Plan, folds: Sequence[Fold], w_dsc: LossWeight
    ) -> tuple[tuple[MemberJob, ...], ...]:
        """Give the members of all folds at w^DSC + offset, for all offsets of the task."""
        weights = [tuple(weight + offset for weight in w_dsc) for offset in task.offsets]
        return member_jobs(task, plan, folds, weights)

    def calibrate(self, task: Task, statistics: OutOfFoldStatistics) -> Calibration:
        """Fit the calibration that the task names to the statistics (Eq. 2)."""
        return task.calibrator.fit(statistics)

    def finish_network(self, network: SegResNetDS, *, dropout: float, fold: int) -> None:
        """Leave the network as it is: dropout is for training alone."""
