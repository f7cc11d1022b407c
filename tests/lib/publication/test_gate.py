"""The gate: what may take the place of what is served."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import t

from lib.calibration.votes import WeightedVotes
from lib.models.generation import Generation
from lib.models.generation_folder import member_name
from lib.publication.gate import GateTolerance, judge_candidate
from tests.tiny_training import Trained


def with_dice(generation: Generation, by_scan: dict[str, list[float | None]], **others: Any) -> Generation:
    values = [row[0] for row in by_scan.values() if row[0] is not None]
    dice = {"lesion": float(np.mean(values)) if values else None}
    return replace(generation, metrics=dict(generation.metrics) | {"dice_by_scan": by_scan, "dice": dice} | others)


def scans(generation: Generation) -> list[str]:
    return sorted(generation.metrics["dice_by_scan"])


def test_a_generation_passes_beside_itself(trained: Trained) -> None:
    report = judge_candidate(trained.generation, trained.generation)
    assert report.reasons == ()
    assert report.figures["dice"]["before"] == report.figures["dice"]["after"]
    assert report.figures["calibration_error"]["scans"] == len(trained.scans)


def test_the_first_generation_is_judged_by_itself_alone(trained: Trained) -> None:
    report = judge_candidate(trained.generation, None)
    assert report.reasons == ()
    assert report.figures == {}


def test_a_lower_dsc_is_held_back_with_both_means(trained: Trained) -> None:
    served = with_dice(trained.generation, {name: [0.9] for name in scans(trained.generation)})
    worse = with_dice(trained.generation, {name: [0.8] for name in scans(trained.generation)})
    (reason,) = judge_candidate(worse, served).reasons
    assert "0.9000" in reason
    assert "0.8000" in reason
    assert judge_candidate(served, worse).reasons == ()


def test_what_chance_explains_passes_and_what_it_does_not_is_held_back(trained: Trained) -> None:
    names = scans(trained.generation)
    served = with_dice(trained.generation, {name: [0.8] for name in names})
    noisy = np.resize([-0.3, 0.26], len(names))
    steady = np.resize([-0.021, -0.019], len(names))
    for differences, held_back in ((noisy, False), (steady, True)):
        candidate = with_dice(trained.generation, {name: [0.8 + d] for name, d in zip(names, differences, strict=True)})
        report = judge_candidate(candidate, served)
        assert bool(report.reasons) is held_back
        n = len(names)
        expected = t.cdf(differences.mean() / (differences.std(ddof=1) / np.sqrt(n)), n - 1)
        assert report.figures["dice"]["p"] == pytest.approx(expected)


def test_only_scans_of_both_generations_are_compared(trained: Trained) -> None:
    first, *rest = scans(trained.generation)
    served = with_dice(trained.generation, {first: [0.9], **{name: [0.2] for name in rest}})
    candidate = with_dice(trained.generation, {first: [0.9], **{f"new {name}": [0.1] for name in rest}})
    tolerance = GateTolerance(calibration_error=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.publication.gate.calibration_error_by_scan", lambda _: {})
        report = judge_candidate(candidate, served, tolerance)
    assert report.figures["dice"] == {"before": 0.9, "after": 0.9, "p": 1.0, "scans": 1}
    assert report.figures["calibration_error"] is None
    assert report.reasons == ()


@pytest.mark.parametrize("lost", [None, 0.0])
def test_a_class_that_is_found_no_more_is_held_back(trained: Trained, lost: float | None) -> None:
    names = scans(trained.generation)
    nothing = with_dice(trained.generation, {name: [lost] for name in names})
    reasons = judge_candidate(nothing, trained.generation).reasons
    assert any("lesion is found no more" in reason for reason in reasons)
    assert any("no class is found" in reason for reason in judge_candidate(nothing, None).reasons)


def test_a_heatmap_of_nothing_is_held_back(trained: Trained) -> None:
    calibration = trained.generation.calibration
    assert isinstance(calibration, WeightedVotes)
    zeros = calibration.model_copy(update={"coefficients": ((0.0, 0.0, 0.0),)})
    reasons = judge_candidate(replace(trained.generation, calibration=zeros), None).reasons
    assert any("heatmap of lesion is 0 everywhere" in reason for reason in reasons)


def test_weights_that_are_no_numbers_are_held_back_with_their_place(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "generation"
    shutil.copytree(trained.generation.path, folder)
    file = folder / member_name(1, 2)
    weights = torch.load(file, weights_only=True)
    next(iter(weights.values())).view(-1)[0] = torch.nan
    torch.save(weights, file)
    (reason,) = judge_candidate(replace(trained.generation, path=folder), None).reasons
    assert "fold 2 at offset +1" in reason
