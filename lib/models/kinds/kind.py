"""The interface of all kinds of ensembles."""

from collections.abc import Sequence
from typing import Protocol

from monai.networks.nets import SegResNetDS

from lib.calibration.base import Calibration
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.models.kinds.method import Method
from lib.preprocessing.plan import Plan
from lib.task.task import Task
from lib.training.folds import Fold
from lib.training.loss import LossWeight
from lib.training.member_job import MemberJob


class EnsembleKind(Protocol):
    """All that sets one kind of ensembles apart from the others."""

    @property
    def name(self) -> Method:
        """Its name on the command line and in stored generations."""

    @property
    def members(self) -> str:
        """What its networks are called in a sentence, such as "networks that differ by their seeds"."""

    @property
    def is_baseline(self) -> bool:
        """Whether it is there for comparison alone, and never served."""

    def settings(self, task: Task) -> Task:
        """Give the settings that its generations are published with."""

    def jobs(
        self, task: Task, plan: Plan, folds: Sequence[Fold], w_dsc: LossWeight
    ) -> tuple[tuple[MemberJob, ...], ...]:
        """Give its members, `[fold][offset]` as in the published settings; a network that is used twice comes twice.

        Args:
            task: settings, as a task file gives them.
            plan: preprocessing that the scans went through.
            folds: of the cross-validation of all labelled scans.
            w_dsc: loss weight with the best mean DSC, one number per class.
        """

    def calibrate(self, task: Task, statistics: OutOfFoldStatistics) -> Calibration:
        """Give what turns the outputs of its members into the heatmap.

        Args:
            task: settings, as a task file gives them.
            statistics: over the scans that members have not seen; of no scan where they have seen all.
        """

    def finish_network(self, network: SegResNetDS, *, dropout: float, fold: int) -> None:
        """Make a network with a member's weights the one that predicts, in place.

        Args:
            network: for inference, on the processor.
            dropout: probability that it was trained with.
            fold: of the member.
        """
