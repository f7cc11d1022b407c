"""The heatmaps that are compared, listed from what the workspace holds."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import EnumType, StrEnum
from functools import cache
from itertools import product

import numpy as np

from lib.calibration.base import Calibration, Calibrator
from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.calibration.registry import CALIBRATORS
from lib.calibration.settings import FoldAggregation, Solver
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics
from lib.models.generation import Generation
from lib.models.kinds.method import Method
from lib.models.workspace import Workspace

# What other settings than the usual ones add to the name of a fit, and to its meaning.
_UNUSUAL: dict[StrEnum, tuple[str, str]] = {
    FoldAggregation.VOTE: ("_fold_vote", " The folds are averaged first and vote as one."),
    Solver.UNCONSTRAINED: ("_unconstrained", " Fitted without constraints."),
}


@dataclass(frozen=True)
class ComparedHeatmap:
    """A way from the outputs of a generation's members to probabilities.

    Attributes:
        name: in `metrics.json`.
        meaning: what it is, for the report.
        method: of the generation whose members make it.
        networks: how many networks it needs.
        probabilities: heatmap on the network's grid, 0..1, shape (C, x, y, z).
        votes: class indices of the members that it is made of, uint8 (members, x, y, z); heatmaps of the same
            members share one function, so that their votes are counted once.
        calibration: what the members must be run for; None where nothing was fitted.
        calibrator: the settings that it was fitted with.
    """

    name: str
    meaning: str
    method: Method
    networks: int
    probabilities: Callable[[MemberOutputs], np.ndarray]
    votes: Callable[[MemberOutputs], np.ndarray]
    calibration: Calibration | None = None
    calibrator: Calibrator | None = None

    def fitted_to(self, statistics: OutOfFoldStatistics) -> "ComparedHeatmap":
        """Give the same with its calibration fitted to other statistics, where it has one."""
        if self.calibrator is None:
            return self
        calibration = self.calibrator.fit(statistics)
        return replace(self, calibration=calibration, probabilities=calibration.heatmap)


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        generations: by method, the served one first.
        heatmaps: by name, the served one first: the others are compared with it.
    """

    generations: Mapping[Method, Generation]
    heatmaps: Mapping[str, ComparedHeatmap]

    @property
    def served(self) -> Generation:
        """The generation that is served."""
        return self.generations[Method.CALIBRATED]

    @property
    def reference(self) -> ComparedHeatmap:
        """The heatmap that is served."""
        return next(iter(self.heatmaps.values()))

    def made_by(self, method: Method) -> list[ComparedHeatmap]:
        """The heatmaps of one generation."""
        return [heatmap for heatmap in self.heatmaps.values() if heatmap.method is method]

    def served_alone(self) -> "Comparison":
        """Only what the served generation makes."""
        heatmaps = {heatmap.name: heatmap for heatmap in self.made_by(Method.CALIBRATED)}
        return Comparison({Method.CALIBRATED: self.served}, heatmaps)

    def without(self, scan: str) -> "Comparison":
        """What the served generation makes, fitted to all labelled scans but one, so that this one can judge it.

        Args:
            scan: name of the scan.

        Raises:
            DamagedGenerationError: the scan's part of the statistics is unreadable.
        """
        statistics = self.served.statistics_without(scan)
        alone = self.served_alone()
        return replace(
            alone, heatmaps={name: heatmap.fitted_to(statistics) for name, heatmap in alone.heatmaps.items()}
        )


def compare_workspace(workspace: Workspace) -> Comparison:
    """Compare everything that the workspace holds for the labels of its current generation.

    Raises:
        NotTrainedError: there is no model yet.
        DamagedGenerationError: a generation's files are incomplete.
    """
    served, baselines = workspace.generation(), workspace.baselines()
    heatmaps = [*_calibrated(served), *_uncalibrated(served, "vote_mean", "softmax")]
    for method in sorted(baselines):
        heatmaps += _uncalibrated(baselines[method], f"{method}_votes", f"{method}_softmax")
    return Comparison({Method.CALIBRATED: served} | baselines, {heatmap.name: heatmap for heatmap in heatmaps})


def _calibrated(generation: Generation) -> list[ComparedHeatmap]:
    """Every calibration with each of its settings, the served one first."""
    task = generation.task
    heatmaps: list[ComparedHeatmap] = []
    for name, calibrator in all_calibrators():
        is_served = calibrator == task.calibrator
        calibration = generation.calibration if is_served else calibrator.fit(generation.statistics)
        unusual = [_UNUSUAL[value] for _, value in calibrator if value in _UNUSUAL]
        heatmap = ComparedHeatmap(
            "".join([name, *(suffix for suffix, _ in unusual)]),
            "".join([_meaning(calibration), *(sentence for _, sentence in unusual)]),
            Method.CALIBRATED,
            task.fold_count * (len(task.offsets) if calibrator.needs_all_offsets else 1),
            calibration.heatmap,
            _votes_behind(calibration, None if calibrator.needs_all_offsets else task.reference_index),
            calibration,
            calibrator,
        )
        heatmaps.insert(0 if is_served else len(heatmaps), heatmap)
    return heatmaps


def all_calibrators() -> Iterator[tuple[str, Calibrator]]:
    """Every calibrator with each choice of its settings, and the name of its kind in task files."""
    for name, family in CALIBRATORS.items():
        choices = {
            setting: field.annotation.__members__.values()
            for setting, field in family.model_fields.items()
            if isinstance(field.annotation, EnumType)
        }
        for values in product(*choices.values()):
            yield name, family(**dict(zip(choices, values, strict=True)))


def _meaning(calibration: Calibration) -> str:
    sentence = (inspect.getdoc(type(calibration)) or "").split("\n\n")[0]
    return " ".join(sentence.split())


def _votes_behind(calibration: Calibration, only: int | None) -> Callable[[MemberOutputs], np.ndarray]:
    """Members that a calibration is made of; `only` is the position of the one loss weight that it needs."""
    if only is not None:
        return _votes_at(only)
    if RequiredOutputs.JOINT_SEGMENTATIONS in calibration.required_outputs:
        return _joint_votes
    return all_votes


def _uncalibrated(generation: Generation, vote_mean: str, softmax: str) -> list[ComparedHeatmap]:
    """What ensembles are commonly taken at: the share of votes, and the mean softmax."""
    task, members = generation.task, generation.kind.members
    return [
        ComparedHeatmap(
            vote_mean,
            f"Share of {members} that vote for the class, without calibration.",
            generation.method,
            task.fold_count * len(task.offsets),
            lambda outputs: _vote_mean(all_votes(outputs), len(task.classes)),
            all_votes,
        ),
        ComparedHeatmap(
            softmax,
            "Mean softmax of "
            + (members if generation.kind.is_baseline else "the networks that draw the prediction")
            + ", without calibration.",
            generation.method,
            task.fold_count,
            lambda outputs: outputs.mean_softmax[1:],
            _votes_at(task.reference_index),
        ),
    ]


def all_votes(outputs: MemberOutputs) -> np.ndarray:
    """Class indices of all members, uint8 (members, x, y, z)."""
    return outputs.segmentations.reshape(-1, *outputs.segmentations.shape[2:])


@cache
def _votes_at(offset: int) -> Callable[[MemberOutputs], np.ndarray]:
    """The members at one loss weight; the same function for all heatmaps of theirs, as `ComparedHeatmap` asks."""
    return lambda outputs: outputs.segmentations[:, offset]


def _joint_votes(outputs: MemberOutputs) -> np.ndarray:
    if outputs.joint_segmentations is None:
        raise ValueError("the outputs lack joint segmentations; run the members for this calibration")
    return outputs.joint_segmentations


def _vote_mean(votes: np.ndarray, class_count: int) -> np.ndarray:
    return np.stack([(votes == index).mean(axis=0, dtype=np.float32) for index in range(1, class_count + 1)])
