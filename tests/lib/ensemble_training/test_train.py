"""From labelled scans to a published generation, by real training."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib.calibration.platt import Platt
from lib.datasets.scans import LabelledScan
from lib.ensemble_training import training_run
from lib.ensemble_training.generation_keys import generation_keys
from lib.ensemble_training.labelled_set import prepare_labelled_set
from lib.ensemble_training.train import train_ensemble
from lib.errors import BusyError, InputError, StorageError
from lib.executors.executor import Work
from lib.executors.local import InProcess
from lib.images.files import read_label, read_scan, write_volume
from lib.images.volume import Volume
from lib.models.ensemble import Ensemble
from lib.models.generation import Generation
from lib.models.kinds.registry import CALIBRATED
from lib.models.publishing import publish
from lib.models.workspace import Workspace
from lib.progress import silent
from lib.simulation.phantoms import PhantomFiles
from lib.task.task import Task
from tests.tiny_training import Trained, a_ball_volume, a_task, full_disk, labelled, record_training, tree

CHECKOUT = Path(__file__).resolve().parents[3]

TRAIN = """
import json, sys
from pathlib import Path
from lib.ensemble_training.train import train_ensemble
from lib.datasets.scans import LabelledScan
from lib.task.task_file import task_from
from lib.models.workspace import Workspace
given = json.loads(sys.argv[1])
scans = [LabelledScan(name, Path(image), Path(label), patient=name) for name, image, label in given["scans"]]
train_ensemble(task_from(given["task"], where="argument"), scans, Workspace(given["workspace"]), device="cpu")
"""


def quick(**settings: object) -> Task:
    """One step of one patch a stage: what is learnt does not matter."""
    return a_task(training={"iterations": 4, "batch_size": 1}, **settings)


def train(
    task: Task, scans: Sequence[LabelledScan], workspace: Workspace | Path, offsets: Sequence[float] | None = None
) -> Generation | None:
    workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    return train_ensemble(task, scans, workspace, offsets=offsets, device="cpu")


def relabelled(scan: LabelledScan, path: Path, value: int | None = None) -> LabelledScan:
    """The scan with its label shifted by a voxel, or filled with a value."""
    label = read_label(scan.label, values=[1])
    array = np.roll(label.array, 1, axis=0) if value is None else np.full_like(label.array, value)
    write_volume(path, Volume(array, label.affine))
    return replace(scan, label=path)


def in_fold(trained: Trained, fold: int) -> LabelledScan:
    return next(scan for scan in trained.scans if trained.generation.fold_of_patient[scan.patient] == fold)


def test_a_generation_holds_what_cross_validation_found(trained: Trained) -> None:
    generation, metrics = trained.generation, trained.generation.metrics
    assert trained.workspace.current() == generation.id
    generation.verify()
    names = sorted(scan.name for scan in trained.scans)
    assert sorted(metrics["dice_by_scan"]) == sorted(generation.fold_of_patient) == names
    assert (metrics["scans"], metrics["left_out"]) == (6, {})
    by_scan = np.array(list(metrics["dice_by_scan"].values()))
    assert metrics["dice"]["lesion"] == pytest.approx(by_scan.mean(), abs=1e-5)
    assert metrics["dice_by_offset"]["lesion"][1] == metrics["dice"]["lesion"]
    assert generation.w_dsc == (-1.0,)
    coefficients = np.array(generation.calibration.coefficients)
    assert coefficients.shape == (1, 3)
    assert (coefficients >= 0).all()
    assert coefficients.sum() <= 1 + 1e-9
    volumes = [read_label(scan.label, values=[1]).array.sum() * 27 for scan in trained.scans]
    assert generation.typical_volumes == pytest.approx((np.mean([v for v in volumes if v]),), rel=1e-4)


def test_progress_covers_reading_training_and_cross_validation(balls: tuple[LabelledScan, ...], tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        reports.append((stage, done, total))

    train_ensemble(quick(), balls[:2], Workspace(tmp_path), device="cpu", progress=progress)
    by_stage = {name: [report[1:] for report in group] for name, group in itertools.groupby(reports, lambda r: r[0])}
    assert list(by_stage) == ["reading", "training", "cross-validation"]
    for steps in by_stage.values():
        assert steps[-1][0] == steps[-1][1]
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    # Two folds of three shared stages and three members, one step each.
    assert by_stage["training"][-1] == (12, 12)


def test_trainers_of_single_offsets_publish_once_whatever_their_order(
    balls: tuple[LabelledScan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    scans, workspace = balls[:2], Workspace(tmp_path)
    for offset in (1, -1):
        assert train(quick(), scans, workspace, [offset]) is None
        assert workspace.current() is None
    assert not workspace.generations.exists()
    generation = train(quick(), scans, workspace, [0])
    assert generation is not None
    assert workspace.current() == generation.id
    # Three shared stages and one for each offset, in each of two folds.
    assert log.count() == 2 * 3 + 2 * 3
    for offsets in (None, [0], [-1, 1], []):
        again = train(quick(), scans, workspace, offsets)
        assert again is not None
        assert again.id == generation.id
    assert log.count() == 12
    assert len(list(workspace.generations.iterdir())) == 1


def test_a_repeated_training_changes_nothing(copied: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(copied.workspace.root)
    log = record_training(monkeypatch)
    again = train(copied.task, copied.scans, copied.workspace)
    assert again is not None
    assert again.id == copied.generation.id
    assert log.count() == 0
    assert tree(copied.workspace.root) == before


def test_the_folder_of_a_workspace_is_enough(copied: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    log = record_training(monkeypatch)
    generation = train_ensemble(copied.task, copied.scans, str(copied.workspace.root), device="cpu")
    assert generation is not None
    assert (generation.id, log.count()) == (copied.generation.id, 0)


def test_members_are_trained_by_the_executor_that_is_given(
    tmp_path: Path, balls: tuple[LabelledScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recorded(InProcess):
        def run(self, works: Sequence[Work]) -> Iterator[Any]:
            ran.append([work.after for work in works])
            return super().run(works)

    ran: list[list[int | None]] = []
    generation = train_ensemble(quick(), balls[:2], tmp_path, executor=Recorded(), device="cpu")
    assert generation is not None
    # Three members of either fold, of which the first trains what they share.
    assert ran == [[None, 0, 0, None, 3, 3]]


def test_a_result_can_be_looked_at_before_it_is_published(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    workspace, task = Workspace(tmp_path), quick()
    labelled_set = prepare_labelled_set(task, balls[:2], workspace, silent)
    result = training_run.train(
        task,
        labelled_set,
        generation_keys(task, CALIBRATED.name, labelled_set),
        workspace,
        kind=CALIBRATED,
        offsets=None,
        executor=InProcess(),
        device=torch.device("cpu"),
        progress=silent,
    )
    assert result is not None
    assert 0 <= result.metrics["dice"]["lesion"] <= 1
    assert all(path.is_file() for paths in result.members for path in paths)
    assert not workspace.generations.exists()
    generation = publish(result, workspace)
    assert workspace.current() is None
    assert (generation.key, generation.metrics, generation.calibration) == (
        result.key,
        result.metrics,
        result.calibration,
    )
    # The one call finds it and serves it.
    again = train_ensemble(task, balls[:2], workspace, device="cpu")
    assert again is not None
    assert workspace.current() == again.id == generation.id


@pytest.mark.parametrize("change", [{"folds": "vote"}, {"solver": "unconstrained"}, {"heatmap": "soft"}])
def test_other_ways_to_calibrate_train_nothing(
    copied: Trained, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    log = record_training(monkeypatch)
    generation = train(a_task(**change), copied.scans, copied.workspace)
    assert generation is not None
    assert log.count() == 0
    assert generation.id != copied.generation.id
    assert copied.workspace.current() == generation.id
    for fold, offset in itertools.product(range(2), range(3)):
        old, new = (one.load_member(fold, offset) for one in (copied.generation, generation))
        assert all((old[name] == new[name]).all() for name in old)
    copied.generation.verify()


@pytest.mark.parametrize("heatmap", ["single", "single_isotonic"])
def test_a_single_loss_weight_trains_one_network_a_fold_and_predicts(
    tmp_path: Path, balls: tuple[LabelledScan, ...], monkeypatch: pytest.MonkeyPatch, heatmap: str
) -> None:
    log = record_training(monkeypatch)
    generation = train(a_task(heatmap=heatmap), balls[:4], tmp_path)
    assert generation is not None
    assert (log.count(4), log.count()) == (2, 8)
    assert {stage.loss_weight for _, stage in log.stages if stage.number == 4} == {(-1.0,)}
    assert len(list((generation.path / "members").iterdir())) == 2
    assert Workspace(tmp_path).current() == generation.id
    scan, label = a_ball_volume(6)
    prediction = Ensemble(generation, device="cpu").predict(scan)
    inside = label.array > 0
    assert prediction.heatmap[0][inside].mean() > 2 * prediction.heatmap[0][~inside].mean()


def test_the_heatmap_may_change_between_all_loss_weights_and_one_without_training(
    copied: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    single = train(a_task(heatmap="single"), copied.scans, copied.workspace)
    assert single is not None
    assert copied.workspace.current() == single.id
    assert log.count() == 0
    # The statistics of all members hold those of the one: it is fitted alike.
    fitted = Platt().fit(copied.generation.statistics)
    assert single.calibration == fitted
    back = train(copied.task, copied.scans, copied.workspace)
    assert back is not None
    assert back.id == copied.generation.id == copied.workspace.current()


def test_other_loss_weights_train_the_last_stage_alone(copied: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    log = record_training(monkeypatch)
    generation = train(a_task(w_dsc=[0.0]), copied.scans, copied.workspace)
    assert generation is not None
    # w = -1 and 0 are there already; 1 is new.
    assert [stage for _, stage in log.stages if stage.number < 4] == []
    assert [stage.loss_weight for _, stage in log.stages] == [(1.0,), (1.0,)]
    same = generation.path / "members" / "fold_0_offset_0.pt"
    assert same.read_bytes() == (copied.generation.path / "members" / "fold_0_offset_1.pt").read_bytes()


def test_a_new_label_leaves_the_members_of_its_own_fold_untouched(
    copied: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = relabelled(in_fold(copied, 0), tmp_path / "label.nii.gz")
    scans = [changed if scan.name == changed.name else scan for scan in copied.scans]
    prepared = {path.name for path in copied.workspace.prepared_scans.iterdir()}
    (copied.workspace.generations / ".tmp-of-a-killed-training").mkdir()
    log = record_training(monkeypatch)
    generation = train(copied.task, scans, copied.workspace)
    assert generation is not None
    assert generation.fold_of_patient == copied.generation.fold_of_patient
    assert log.count() == 6
    assert all(changed.name in names for names, _ in log.stages)
    for offset in range(3):
        name = f"members/fold_0_offset_{offset}.pt"
        assert (generation.path / name).read_bytes() == (copied.generation.path / name).read_bytes()
        name = f"members/fold_1_offset_{offset}.pt"
        assert (generation.path / name).read_bytes() != (copied.generation.path / name).read_bytes()
    # What the old label and a killed training left is removed.
    now = {path.name for path in copied.workspace.prepared_scans.iterdir()}
    assert (len(now), len(now & prepared)) == (6, 5)
    assert not list(copied.workspace.root.rglob(".tmp-*"))


def test_a_new_scan_moves_no_other_and_trains_the_folds_that_it_is_not_in(
    copied: Trained, balls: tuple[LabelledScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = balls[6]
    log = record_training(monkeypatch)
    generation = train(copied.task, [*copied.scans, new], copied.workspace)
    assert generation is not None
    before, after = copied.generation.fold_of_patient, generation.fold_of_patient
    assert {patient: after[patient] for patient in before} == before
    assert log.count() == 6
    assert all(new.name in names for names, _ in log.stages)
    # The new label is taken back: the first generation is served again.
    back = train(copied.task, copied.scans, copied.workspace)
    assert back is not None
    assert back.id == copied.generation.id == copied.workspace.current()


def test_folds_survive_a_scan_that_leaves_and_comes_back(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    scans, workspace = balls[:4], Workspace(tmp_path)
    first = train(quick(), scans, workspace)
    without = train(quick(), scans[1:], workspace)
    again = train(quick(), scans[::-1], workspace)
    assert first is not None
    assert without is not None
    assert again is not None
    assert without.fold_of_patient.items() < first.fold_of_patient.items()
    assert again.id == first.id


def test_scans_that_cannot_be_read_are_left_out_and_named(
    copied: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = copied.scans[0]
    truncated = tmp_path / "truncated.nii.gz"
    truncated.write_bytes(fine.image.read_bytes()[:5000])
    with_nan, image = tmp_path / "nan.nii.gz", read_scan(fine.image)
    write_volume(with_nan, Volume(np.where(image.array > 100, np.nan, image.array), image.affine))
    stacked = tmp_path / "stacked.nii.gz"
    write_volume(stacked, Volume(np.stack([image.array] * 2), image.affine))
    elsewhere = tmp_path / "elsewhere.nii.gz"
    write_volume(elsewhere, Volume(read_label(fine.label, values=[1]).array, np.eye(4)))
    broken = {
        "truncated": (replace(fine, image=truncated), "cannot be read as an image"),
        "missing": (replace(fine, image=tmp_path / "missing.nii.gz"), "no such file"),
        "nan": (replace(fine, image=with_nan), "NaN or infinite voxels"),
        "stacked": (replace(fine, image=stacked), "4 dimensions"),
        "unknown": (relabelled(fine, tmp_path / "unknown.nii.gz", 9), "unknown class 9"),
        "elsewhere": (replace(fine, label=elsewhere), "save the label on the grid of the scan"),
    }
    scans = [*copied.scans, *(replace(scan, name=name, patient=name) for name, (scan, _) in broken.items())]
    log = record_training(monkeypatch)
    generation = train(a_task(solver="unconstrained"), scans, copied.workspace)
    assert generation is not None
    assert log.count() == 0
    assert set(generation.metrics["left_out"]) == set(broken)
    for name, (_, reason) in broken.items():
        assert reason in generation.metrics["left_out"][name]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == len(broken)
    assert not set(broken) & set(generation.fold_of_patient)


def test_without_usable_labels_nothing_is_trained(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    workspace = Workspace(tmp_path / "workspace")
    with pytest.raises(InputError, match="no scan has a label yet"):
        train(quick(), [], workspace)
    gone = [replace(scan, label=tmp_path / "gone.nii.gz") for scan in balls[:3]]
    with pytest.raises(InputError, match=r"none of the 3 labelled scans can be used; the first: .*gone\.nii\.gz"):
        train(quick(), gone, workspace)
    empty = [relabelled(scan, tmp_path / f"{scan.name}.nii.gz", 0) for scan in balls[:3]]
    with pytest.raises(InputError, match="none of the 3 labelled scans holds any foreground"):
        train(quick(), empty, workspace)
    assert workspace.current() is None


def test_an_empty_label_among_others_is_used(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    scans = list(balls[:2])
    scans[0] = relabelled(scans[0], tmp_path / "empty.nii.gz", 0)
    generation = train(quick(), scans, tmp_path / "workspace")
    assert generation is not None
    assert set(generation.metrics["dice_by_scan"]) == {scan.name for scan in scans}


def test_fewer_patients_than_folds_are_refused(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    scans = [replace(scan, patient="anna") for scan in balls[:3]]
    with pytest.raises(InputError, match="come from 1 patient; 2 folds need at least 2"):
        train(quick(), scans, tmp_path)


def test_an_unknown_offset_or_device_is_refused(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    with pytest.raises(InputError, match=r"offset 2: is none of the task's offsets \[-1.0, 0.0, 1.0\]"):
        train(quick(), balls[:2], tmp_path, [0, 2])
    with pytest.raises(InputError, match="give auto, cpu or cuda"):
        train_ensemble(quick(), balls[:2], Workspace(tmp_path), device="abacus")


def test_w_dsc_is_found_where_the_task_leaves_it_open(
    tmp_path: Path, balls: tuple[LabelledScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    scans, workspace = balls[:2], Workspace(tmp_path)
    task = a_task(w_dsc="auto", training={"iterations": 8})
    generation = train(task, scans, workspace)
    assert generation is not None
    (found,) = generation.w_dsc
    searched = sorted({stage.loss_weight[0] for _, stage in log.stages if stage.number == 4})
    assert found in searched
    assert {found - 1, found + 1} & set(np.arange(-3.0, 4.0)) <= set(searched)
    # Every member was trained once, in search of w^DSC or as a member of the ensemble.
    assert log.count(4) == 2 * len(searched)
    assert [log.count(number) for number in (1, 2, 3)] == [2, 2, 2]
    dice = generation.metrics["dice_by_offset"]["lesion"]
    assert abs(found) == 3 or dice[1] == max(dice)
    log.stages.clear()
    assert train(task, scans, workspace) is not None
    assert log.count() == 0


def test_region_masks_bound_training_counts_and_heatmap(
    tmp_path: Path, phantoms: list[PhantomFiles], caplog: pytest.LogCaptureFixture
) -> None:
    task = quick(region="organ", spacing=[1.5, 1.5, 3])
    scans = list(labelled(phantoms[:2], region=True))
    scans[1] = replace(scans[1], region=None)
    generation = train(task, scans, tmp_path)
    assert generation is not None
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{scans[1].name}: has no region mask labels/organ; it is used whole"
    ]
    # At the phantoms' own spacing no voxel is resampled.
    inside = (read_scan(phantoms[0].region).array > 0).sum()
    assert generation.statistics.patterns.voxels.sum() == inside + 48 * 48 * 20


def test_only_one_training_at_a_time(copied: Trained) -> None:
    with copied.workspace.training_lock(), pytest.raises(BusyError, match="another training is running here"):
        train(copied.task, copied.scans, Workspace(copied.workspace.root))
    assert train(copied.task, copied.scans, copied.workspace) is not None


def test_a_killed_training_ends_with_the_weights_of_an_unbroken_one(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    given = {
        "task": trained.task.model_dump(mode="json"),
        "scans": [[scan.name, str(scan.image), str(scan.label)] for scan in trained.scans],
        "workspace": str(tmp_path),
    }
    process = subprocess.Popen([sys.executable, "-c", TRAIN, json.dumps(given)], cwd=CHECKOUT)
    try:
        deadline = time.monotonic() + 300
        while len(list(workspace.members.glob("[!.]*.pt"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # While it trains, no other may.
        with pytest.raises(BusyError, match="another training is running here"):
            train(trained.task, trained.scans, workspace)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    kept = tree(workspace.members)
    assert 3 <= len(kept) < 12
    assert workspace.current() is None
    log = record_training(monkeypatch)
    generation = train(trained.task, trained.scans, workspace)
    assert generation is not None
    assert log.count() == 12 - len([name for name in kept if not name.startswith(".")])
    assert tree(workspace.members) == tree(trained.workspace.members)
    whole, resumed = tree(trained.generation.path), tree(generation.path)
    assert {name for name in whole if whole[name] != resumed[name]} <= {"manifest.json", "statistics.npz"}
    assert generation.key == trained.generation.key


@pytest.mark.parametrize(
    ("change", "added", "size", "where"),
    [
        ({}, 1, 100, "folds.json"),
        ({}, 1, 4_000, "prepared_scans"),
        ({"w_dsc": [0.0]}, 0, 20_000, "members"),
        ({"offsets": [-1, 0]}, 0, 300, "out_of_fold"),
        ({"solver": "unconstrained"}, 0, 500, "generations"),
    ],
)
def test_a_full_disk_stops_the_training_and_leaves_the_old_generation_served(
    copied: Trained, balls: tuple[LabelledScan, ...], change: dict[str, object], added: int, size: int, where: str
) -> None:
    """Wherever it strikes: each case writes one kind of file that is too large."""
    served = tree(copied.generation.path)
    task, scans = a_task(**change), [*copied.scans, *balls[6 : 6 + added]]
    with full_disk(size), pytest.raises(StorageError, match=f"/{where}.*free some space or choose") as raised:
        train(task, scans, copied.workspace)
    assert "\n" not in str(raised.value)
    assert copied.workspace.current() == copied.generation.id
    assert tree(copied.generation.path) == served
    assert not list(copied.workspace.root.rglob(".tmp-*"))
    if not added:
        # With room again it goes on.
        generation = train(task, scans, copied.workspace)
        assert generation is not None
        assert copied.workspace.current() == generation.id != copied.generation.id


def test_a_workspace_that_cannot_be_written_to_is_refused(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose a workspace that is writable"):
        train(quick(), balls[:2], tmp_path / "file" / "workspace")


@pytest.mark.parametrize("name", ["members/fold_1_offset_2.pt", "calibration.json", "manifest.json"])
def test_a_damaged_generation_is_made_again(copied: Trained, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also where the member store holds the very file that is damaged, as it does when they are linked."""
    path, workspace = copied.generation.path, copied.workspace
    before = tree(path)
    for stored in workspace.members.iterdir():
        for member in (path / "members").iterdir():
            if stored.read_bytes() == member.read_bytes():
                stored.unlink()
                os.link(member, stored)
    with (path / name).open("r+b") as file:
        file.seek(len(before[name]) // 2)
        file.write(b"\0\0")
    log = record_training(monkeypatch)
    again = train(copied.task, copied.scans, workspace)
    assert again is not None
    assert log.count() == log.count(4) == (1 if name.startswith("members") else 0)
    again.verify()
    assert workspace.current() == again.id
    after = tree(again.path)
    assert {key for key in before if before[key] != after[key]} <= {"manifest.json", "statistics.npz"}


def test_training_heals_what_says_which_generation_serves_and_the_folds(
    copied: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    (copied.workspace.root / "current").write_bytes(b"\xff\xfe")
    (copied.workspace.root / "folds.json").write_text('{"patients": []}')
    generation = train(copied.task, copied.scans, copied.workspace)
    assert generation is not None
    assert copied.workspace.current() == generation.id == copied.generation.id
    assert copied.workspace.read_folds(copied.task.fold_count) == copied.generation.fold_of_patient
    assert log.stages == []
