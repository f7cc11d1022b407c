"""Which heatmaps are compared, and what they are made of."""

from dataclasses import replace

import numpy as np
import pytest

from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.registry import CALIBRATORS
from lib.calibration.settings import FoldAggregation, Solver
from lib.evaluation.compared_heatmaps import Comparison, compare_workspace
from lib.models.kinds.method import Method
from lib.models.workspace import Workspace
from tests.evaluated_studies import Judged


def outputs(folds: int, members: int, seed: int = 0) -> MemberOutputs:
    """Answers of members for one class."""
    rng = np.random.default_rng(seed)
    grid = (6, 5, 4)
    background = rng.random((folds, 1, *grid), dtype=np.float32)
    return MemberOutputs(
        segmentations=rng.integers(0, 2, (folds, members, *grid), dtype=np.uint8),
        softmax=np.concatenate([background, 1 - background], axis=1),
        joint_segmentations=rng.integers(0, 2, (members, *grid), dtype=np.uint8),
        member_softmax=rng.random((members, 1, *grid), dtype=np.float32),
    )


def outputs_of(comparison: Comparison, method: Method) -> MemberOutputs:
    task = comparison.generations[method].task
    return outputs(task.fold_count, len(task.offsets))


def test_the_served_heatmap_comes_first_as_it_was_published(judged: Judged, comparison: Comparison) -> None:
    assert comparison.served.id == judged.workspace.current()
    assert comparison.reference.calibration == comparison.served.calibration
    assert next(iter(comparison.heatmaps)) == comparison.reference.name == "votes"
    assert list(comparison.generations) == [Method.CALIBRATED, Method.DROPOUT]


def test_every_heatmap_holds_probabilities(comparison: Comparison) -> None:
    for heatmap in comparison.heatmaps.values():
        probabilities = heatmap.probabilities(outputs_of(comparison, heatmap.method))
        assert probabilities.shape == (1, 6, 5, 4)
        assert 0 <= probabilities.min() <= probabilities.max() <= 1


@pytest.mark.parametrize(
    ("name", "networks", "members"),
    [
        ("votes", 6, 6),
        ("votes_fold_vote", 6, 3),
        ("single", 2, 2),
        ("vote_mean", 6, 6),
        ("softmax", 2, 2),
        ("dropout_votes", 7, 7),
    ],
)
def test_a_heatmap_is_charged_its_networks_and_knows_its_members(
    comparison: Comparison, name: str, networks: int, members: int
) -> None:
    heatmap = comparison.heatmaps[name]
    assert heatmap.networks == networks
    assert len(heatmap.votes(outputs_of(comparison, heatmap.method))) == members


def test_the_uncalibrated_heatmaps_are_means(comparison: Comparison) -> None:
    answers = outputs_of(comparison, Method.CALIBRATED)
    np.testing.assert_allclose(
        comparison.heatmaps["vote_mean"].probabilities(answers)[0], (answers.segmentations == 1).mean(axis=(0, 1))
    )
    np.testing.assert_allclose(
        comparison.heatmaps["softmax"].probabilities(answers)[0], answers.softmax[:, 1].mean(axis=0), rtol=1e-6
    )


def test_the_served_generation_alone_leaves_the_baselines_out(comparison: Comparison) -> None:
    alone = comparison.served_alone()
    assert list(alone.generations) == [Method.CALIBRATED]
    assert alone.reference == comparison.reference
    assert set(comparison.heatmaps) - set(alone.heatmaps) == {"dropout_votes", "dropout_softmax"}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"heatmap": "soft"}, "soft"),
        ({"heatmap": "single_isotonic"}, "single_isotonic"),
        ({"folds": FoldAggregation.VOTE}, "votes_fold_vote"),
        ({"folds": FoldAggregation.VOTE, "solver": Solver.UNCONSTRAINED}, "votes_fold_vote_unconstrained"),
    ],
)
def test_whatever_a_task_serves_is_the_reference(
    comparison: Comparison, settings: dict[str, object], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = comparison.served
    task = served.task.model_copy(update=settings)
    calibration = task.calibrator.fit(served.statistics)
    other = replace(served, task=task, calibration=calibration)
    monkeypatch.setattr(Workspace, "generation", lambda _: other)
    monkeypatch.setattr(Workspace, "baselines", lambda _: {})
    assert compare_workspace(Workspace(served.path.parents[1])).reference.name == name


def test_each_calibrator_is_fitted_once_under_the_name_that_reports_know(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, fits = comparison.served, []
    for family in CALIBRATORS.values():
        fit = family.fit
        monkeypatch.setattr(family, "fit", lambda self, *rest, fit=fit: fits.append(self) or fit(self, *rest))
    monkeypatch.setattr(Workspace, "generation", lambda _: served)
    monkeypatch.setattr(Workspace, "baselines", lambda _: {})
    compared = compare_workspace(Workspace(served.path.parents[1])).heatmaps
    assert list(compared) == [
        "votes",
        "single",
        "single_isotonic",
        "soft",
        "soft_unconstrained",
        "votes_unconstrained",
        "votes_fold_vote",
        "votes_fold_vote_unconstrained",
        "vote_mean",
        "softmax",
    ]
    # The served one is taken as it was published.
    assert len(fits) == len(set(fits)) == 7
    assert {name: compared[name].meaning for name in ("single", "votes_fold_vote_unconstrained")} == {
        "single": "Each fold's softmax at w^DSC on a Platt curve, then the mean of the folds.",
        "votes_fold_vote_unconstrained": "Weighted votes of the members. The folds are averaged first and vote as one. "
        "Fitted without constraints.",
    }
