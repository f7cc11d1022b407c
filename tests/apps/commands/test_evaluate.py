"""The command `evaluate` on phantoms, with a model that is trained in seconds."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
from PIL import Image

from apps.calibrated_ensemble.command_line import run
from lib.evaluation import evaluation_run as statistics_run
from tests.evaluated_studies import Judged
from tests.tiny_training import tree

_CALIBRATED = {"votes", "votes_fold_vote", "soft", "single", "single_isotonic", "vote_mean", "softmax"}
_HEATMAPS = _CALIBRATED | {"dropout_votes", "dropout_softmax"}
_ON_SERVED = {"dropout_votes_on_served", "dropout_softmax_on_served"}
_ESTIMATES = _HEATMAPS | _ON_SERVED | {"pairwise_dice", "entropy", "constant"}


def figures_in(value: Any) -> list[dict[str, float | None]]:
    """All figures with intervals below a part of metrics.json."""
    if not isinstance(value, dict):
        return []
    if set(value) == {"value", "low", "high"}:
        return [value]
    return [figure for part in value.values() for figure in figures_in(part)]


def test_metrics_hold_every_heatmap_and_estimate_with_intervals(judged: Judged) -> None:
    metrics = judged.metrics
    assert metrics["scans"] == 3
    assert metrics["classes"] == ["lesion"]
    assert metrics["corrupted"] is False
    assert metrics["generation"] == judged.workspace.current()
    assert metrics["default_heatmap"] == "votes"
    assert set(metrics["dice"]["lesion"]) == {"mean", "sd"}
    assert set(metrics["predictions"]) == {"calibrated", "dropout"}
    assert metrics["predictions"]["calibrated"] == metrics["dice"]
    assert set(metrics["heatmaps"]) >= _HEATMAPS
    assert set(metrics["seconds_per_scan"]) == set(metrics["heatmaps"])
    assert set(metrics["estimates"]) == set(metrics["heatmaps"]) | _ESTIMATES
    for by_class in metrics["heatmaps"].values():
        assert set(by_class["lesion"]) - {"curve", "parzen_curve"} == {
            "ece",
            "ace",
            "mce",
            "brier",
            "union_sensitivity",
            "intersection_precision",
        }
        for probability, prevalence, voxels in by_class["lesion"]["curve"]:
            assert 0 <= probability <= 1
            assert 0 <= prevalence <= 1
            assert voxels > 0
    for by_class in metrics["estimates"].values():
        assert set(by_class["lesion"]) == {
            "mae",
            "rmse",
            "bias",
            "pearson",
            "spearman",
            "aurc",
            "interval_coverage",
        }
    figures = figures_in({key: metrics[key] for key in ("dice", "heatmaps", "estimates", "seconds_per_scan")})
    known = [figure for figure in figures if figure["value"] is not None]
    assert len(known) > 100
    # Three scans are too few for intervals.
    assert all(figure["low"] is figure["high"] is None for figure in known)


def test_all_heatmaps_are_judged_on_the_same_voxels(judged: Judged) -> None:
    by_name = judged.metrics["heatmaps"]
    voxels = {sum(point[2] for point in by_class["lesion"]["curve"]) for by_class in by_name.values()}
    assert len(voxels) == 1
    assert voxels.pop() > 0


def test_the_figures_follow_from_the_scans(judged: Judged) -> None:
    metrics = judged.metrics
    scans = metrics["by_scan"]
    assert [scan["scan"] for scan in scans] == [files.name for files in judged.studies.unlabelled]
    for name in ("votes", "dropout_votes", "dropout_votes_on_served"):
        method = "dropout" if name == "dropout_votes" else "calibrated"
        errors = [scan["estimates"][name]["lesion"] - scan["true_dsc"][method]["lesion"] for scan in scans]
        figures = metrics["estimates"][name]["lesion"]
        assert figures["mae"]["value"] == pytest.approx(sum(map(abs, errors)) / 3)
        assert figures["bias"]["value"] == pytest.approx(sum(errors) / 3)
    expected = judged.workspace.generation().metrics["dice"]["lesion"]
    assert all(scan["estimates"]["constant"]["lesion"] == pytest.approx(expected, abs=1e-5) for scan in scans)


def test_a_second_run_predicts_nothing_and_says_the_same(
    judged: Judged, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*arguments: object, **others: object) -> None:
        raise AssertionError("a scan is predicted again")

    monkeypatch.setattr(statistics_run, "reduce_scan", never)
    before = tree(judged.output)
    assert run(judged.arguments(judged.output, "--json")) == 0
    assert json.loads(capsys.readouterr().out) == judged.metrics
    assert tree(judged.output) == before


def test_the_report_needs_nothing_beside_it_and_holds_the_figures(judged: Judged) -> None:
    page = (judged.output / "report.html").read_text()
    assert not re.search(r"https?:|//[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page))
    assert not re.search(r"<(script|link|iframe)\b", page)
    sources = re.findall(r'<img src="([^"]+)"', page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert judged.metrics["generation"] in page
    assert f"<td>{100 * judged.metrics['dice']['lesion']['mean']['value']:.1f}</td>" in page
    for name in judged.metrics["estimates"]:
        assert f"<td>{name}</td>" in page
    for name in ("calibration_curves", "estimated_dsc", "heatmaps"):
        with Image.open(judged.output / f"{name}.png") as image:
            assert min(image.size) > 200


def test_corrupted_scans_are_others_and_judged_by_the_same_intervals(judged: Judged, tmp_path: Path) -> None:
    (tmp_path / "statistics").mkdir()
    for file in (judged.output / "statistics").iterdir():
        shutil.copy(file, tmp_path / "statistics")
    assert run(judged.arguments(tmp_path, "--corrupt")) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["corrupted"] is True
    assert metrics["corruptions"]
    assert {scan["corruption"] for scan in metrics["by_scan"]} == set(metrics["corruptions"])
    assert metrics["interval_half_widths"] == judged.metrics["interval_half_widths"]
    assert metrics["dice"] != judged.metrics["dice"]
    assert "corrupted" in (tmp_path / "report.html").read_text()


def test_scans_that_were_trained_on_are_refused(
    judged: Judged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
        for name in judged.studies.labelled:
            shutil.copy(judged.data_set / folder / f"{name}.nii.gz", tmp_path / folder)
    arguments = ["evaluate", "--images", str(tmp_path / "imagesTr"), "--labels", str(tmp_path / "labelsTr")]
    output = tmp_path / "out"
    arguments += ["--output", str(output), "--studies", str(judged.studies.folder), "--device", "cpu"]
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert "trained on the patients of all 4 labelled scans" in said
    assert "--include-trained" in said
    assert not output.exists()


def test_a_label_of_another_grid_is_named_and_writes_no_metrics(
    judged: Judged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = judged.studies.unlabelled[0]
    for folder, file in (("imagesTr", scan.scan), ("labelsTr", scan.label)):
        (tmp_path / folder).mkdir()
        shutil.copy(file, tmp_path / folder)
    nib.save(nib.load(scan.label).slicer[:, :, 1:], tmp_path / "labelsTr" / scan.label.name)
    arguments = ["evaluate", "--images", str(tmp_path / "imagesTr"), "--labels", str(tmp_path / "labelsTr")]
    arguments += ["--output", str(tmp_path / "out"), "--studies", str(judged.studies.folder), "--device", "cpu"]
    assert run(arguments) == 2
    assert f"labelsTr/{scan.name}.nii.gz" in capsys.readouterr().err
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_one_unreadable_scan_is_named_and_the_rest_judged(
    judged: Judged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    shutil.copytree(judged.output / "statistics", output / "statistics")
    for folder in ("imagesTr", "labelsTr", "regionsTr"):
        shutil.copytree(judged.data_set / folder, tmp_path / folder)
    scan = judged.studies.unlabelled[0]
    content = scan.scan.read_bytes()
    (tmp_path / "imagesTr" / scan.scan.name).unlink()
    (tmp_path / "imagesTr" / scan.scan.name).write_bytes(content[:3000])
    arguments = judged.arguments(output, "--json")
    arguments = [part.replace(str(judged.data_set), str(tmp_path)) for part in arguments]
    assert run(arguments) == 2
    said = capsys.readouterr()
    metrics = json.loads(said.out)
    assert metrics["scans"] == 2
    assert list(metrics["failed"]) == [scan.name]
    assert f"{scan.name}.nii.gz: cannot be read as an image" in said.err
    assert "Traceback" not in said.err
    assert (output / "report.html").is_file()


def test_the_fast_mode_is_judged_like_any_other(judged: Judged, tmp_path: Path) -> None:
    """One network a fold: out of fold there is one member, which has nobody to disagree with."""
    task = tmp_path / "single.yaml"
    task.write_text(judged.studies.task.read_text() + "heatmap: single\n")
    studies = ["--studies", str(judged.studies.folder), "--workspace", str(tmp_path / "workspace"), "--device", "cpu"]
    assert run(["train", *studies, "--task", str(task)]) == 0
    assert run([*judged.arguments(tmp_path / "out"), "--workspace", str(tmp_path / "workspace")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["default_heatmap"] == "single"
    assert metrics["out_of_fold_scans"] == 4
    assert metrics["estimates"]["single"]["lesion"]["mae"]["value"] is not None
    assert metrics["estimates"]["pairwise_dice"]["lesion"]["mae"]["value"] is not None
