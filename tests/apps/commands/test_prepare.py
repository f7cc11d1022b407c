"""`prepare` on real scans: what it makes can be read, and the source stays as it is."""

import json
import os
from pathlib import Path

import pytest

from apps.calibrated_ensemble.command_line import run
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from lib.datasets.studies_folder import read_studies
from lib.images.files import read_label, read_scan

DATA = Path(os.environ.get("CALIBRATED_ENSEMBLE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@pytest.mark.parametrize(("task", "count"), [("hippocampus", 200), ("glioma", 70)])
def test_real_scans_become_a_studies_folder(
    task: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = DATA / task
    if not source.is_dir():
        pytest.skip(f"the real scans are not at {source}; set CALIBRATED_ENSEMBLE_DATA")
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    arguments = ["prepare", "--images", str(source / "imagesTr"), "--labels", str(source / "labelsTr")]
    assert run([*arguments, "--output", str(tmp_path / "studies"), "--labelled", "5", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["scans"] == count
    settings = task_by_name_or_path(task)
    studies = read_studies(tmp_path / "studies", settings)
    assert [scan.name for scan in studies.labelled] == made["labelled"]
    assert len(studies.labelled) == 5
    assert len({scan.patient for scan in studies.labelled}) == 5
    assert len(studies.unlabelled) == count - 5
    for scan in studies.labelled:
        label = read_label(scan.label, values=settings.labels.values(), scan=read_scan(scan.image))
        assert label.array.any()
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


def test_labels_that_match_no_scan_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz", "labels/B.nii.gz"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    arguments = ["prepare", "--images", str(tmp_path / "images"), "--labels", str(tmp_path / "labels")]
    arguments += ["--output", str(tmp_path / "studies")]
    assert run(arguments) == 0
    told = capsys.readouterr().err
    assert f"1 labels or region masks match no scan and are not used: {tmp_path / 'labels' / 'B.nii.gz'}" in told
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without_scan"] == [str(tmp_path / "labels" / "B.nii.gz")]
