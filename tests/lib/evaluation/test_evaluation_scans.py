"""Which scans are judged, which give the intervals, and which are left out."""

from pathlib import Path

import pytest

from lib.datasets.studies_folder import read_studies
from lib.errors import InputError
from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.evaluation_scans import EvaluationScans, select_scans
from tests.evaluated_studies import Judged


def choose(judged: Judged, comparison: Comparison, **others: object) -> EvaluationScans:
    settings = {"regions": judged.data_set / "regionsTr", "include_trained": False} | others
    return select_scans(judged.data_set / "imagesTr", judged.data_set / "labelsTr", comparison.served, **settings)


def test_scans_that_were_trained_on_are_left_out_and_give_the_intervals(judged: Judged, comparison: Comparison) -> None:
    chosen = choose(judged, comparison)
    assert [scan.name for scan in chosen.evaluated] == [files.name for files in judged.studies.unlabelled]
    assert chosen.left_out == 4
    assert not chosen.trained
    folds = comparison.served.fold_of_patient
    assert {scan.name: fold for scan, fold in chosen.out_of_fold} == {
        name: folds[name] for name in judged.studies.labelled
    }
    assert all(scan.region is not None for scan in chosen.evaluated)


def test_scans_that_were_trained_on_are_marked_when_they_are_wanted(judged: Judged, comparison: Comparison) -> None:
    chosen = choose(judged, comparison, include_trained=True)
    assert len(chosen.evaluated) == 7
    assert chosen.trained == set(judged.studies.labelled)
    assert chosen.left_out == 0


def test_labels_of_the_studies_give_intervals_where_the_data_set_has_none(
    judged: Judged, comparison: Comparison, tmp_path: Path
) -> None:
    scan = judged.studies.unlabelled[0]
    for folder, file in (("images", scan.scan), ("labels", scan.label)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file.name).symlink_to(file)
    studies = read_studies(judged.studies.folder, comparison.served.task)
    chosen = select_scans(
        tmp_path / "images",
        tmp_path / "labels",
        comparison.served,
        regions=None,
        include_trained=False,
        studies=studies.labelled,
    )
    assert [one.name for one in chosen.evaluated] == [scan.name]
    assert {one.name for one, _ in chosen.out_of_fold} == set(judged.studies.labelled)


def test_channels_are_taken_off_and_scans_without_label_counted(
    judged: Judged, comparison: Comparison, tmp_path: Path
) -> None:
    first, second = judged.studies.unlabelled[:2]
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for files in (first, second):
        (tmp_path / "images" / f"{files.name}_0000.nii.gz").symlink_to(files.scan)
    (tmp_path / "labels" / first.label.name).symlink_to(first.label)
    chosen = select_scans(
        tmp_path / "images", tmp_path / "labels", comparison.served, regions=None, include_trained=False
    )
    assert [scan.name for scan in chosen.evaluated] == [first.name]
    assert chosen.unlabelled == 1


def test_what_cannot_be_judged_is_refused(judged: Judged, comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        choose(judged, comparison, regions=tmp_path / "missing")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "other.nii.gz").symlink_to(judged.studies.unlabelled[0].label)
    with pytest.raises(InputError, match=r"other\.nii\.gz should be named as its scan"):
        select_scans(
            judged.data_set / "imagesTr", tmp_path / "labels", comparison.served, regions=None, include_trained=False
        )
