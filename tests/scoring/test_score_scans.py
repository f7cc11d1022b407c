import errno
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from lib.datasets.scans import stamp_files
from lib.errors import DamagedGenerationError, DatabaseError, StorageError, UnreachableError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.models.prediction import Prediction
from lib.quality.estimated_dsc import estimated_dsc
from scoring.database.engine import open_database, reading
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import Scored, record_score
from scoring.database.tables import scores
from scoring.score_scans import score_scans
from scoring.worklist.ranking import ranking

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
COUNT = 8


@dataclass(frozen=True)
class Scan:
    name: str
    image: Path | Callable[[], Path]
    region: Path | None = None

    @property
    def stamp(self) -> str:
        return stamp_files(self.image if isinstance(self.image, Path) else None, self.region)


@dataclass(frozen=True)
class Generation:
    id: str = "g"


@dataclass
class GreyValues:
    """Takes the grey value in percent for the probability; deterministic and known without a network."""

    generation: Generation = field(default_factory=Generation)
    seconds: float = 0.0
    predicted: list[int] = field(default_factory=list)

    def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
        time.sleep(self.seconds)
        heatmap = scan.array[None] / 100
        if region is not None:
            heatmap = heatmap * (region.array > 0)
        self.predicted.append(int(scan.array[0, 0, 0]))
        return Prediction(
            segmentation=(heatmap[0] > 0.5).astype(np.uint8),
            heatmap=heatmap.astype(np.float32),
            affine=scan.affine,
            generation=self.generation.id,
            classes=("lesion",),
            typical_volumes=(100.0,),
        )


def grey_scan(number: int) -> np.ndarray:
    array = np.random.default_rng(number).integers(0, 101, (5, 4, 3)).astype(np.float32)
    array[0, 0, 0] = number  # by which GreyValues tells whom it saw
    return array


@pytest.fixture
def scans(tmp_path: Path) -> list[Scan]:
    made = []
    for number in range(COUNT):
        path = tmp_path / f"scan_{number}.nii.gz"
        write_volume(path, Volume(grey_scan(number), AFFINE))
        made.append(Scan(f"scan_{number}", path))
    return made


def expected(number: int) -> float:
    h = grey_scan(number) / 100
    return float(2 * h[h > 0.5].sum() / (h.sum() + (h > 0.5).sum()))


def test_scores_every_scan_with_its_estimated_dsc(engine: Engine, scans: list[Scan]) -> None:
    synchronise_scans(engine, [scan.name for scan in scans], [])
    report = score_scans(engine, GreyValues(), scans)
    assert (report.generation, report.scored, report.failed, report.skipped) == ("g", COUNT, (), 0)
    found = {line.scan: line.estimated_dsc for line in ranking(engine, "g")}
    assert set(found) == {scan.name for scan in scans}
    for number in range(COUNT):
        assert found[f"scan_{number}"] == {"lesion": pytest.approx(expected(number), rel=1e-5)}
    means = [line.mean_estimated_dsc for line in ranking(engine, "g")]
    assert means == sorted(means)


def test_the_volume_of_a_voxel_comes_from_the_scan(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "faint.nii.gz"
    array = np.zeros((5, 4, 3), np.float32)
    array[1, 1, 1] = 50.0
    write_volume(path, Volume(array, AFFINE))
    score_scans(engine, GreyValues(), [Scan("faint", path)])
    assert ranking(engine, "g")[0].mean_estimated_dsc == pytest.approx(1 - 0.5 * 12.0 / 100.0)


def test_a_repeated_run_predicts_nothing_and_a_new_scan_is_all_that_is_added(engine: Engine, scans: list[Scan]) -> None:
    score_scans(engine, GreyValues(), scans[:5])
    again = GreyValues()
    assert score_scans(engine, again, scans[:5]).skipped == 5
    assert again.predicted == []
    report = score_scans(engine, again, scans)
    assert again.predicted == [5, 6, 7]
    assert (report.scored, report.skipped) == (3, 5)


def test_a_new_generation_scores_all_again(engine: Engine, scans: list[Scan]) -> None:
    score_scans(engine, GreyValues(), scans[:3])
    assert score_scans(engine, GreyValues(Generation(id="newer")), scans[:3]).scored == 3
    assert ranking(engine, "g")[0].mean_estimated_dsc == ranking(engine, "newer")[0].mean_estimated_dsc


def test_a_labelled_scan_is_left_out(engine: Engine, scans: list[Scan]) -> None:
    synchronise_scans(engine, [scan.name for scan in scans], ["scan_3"])
    predictor = GreyValues()
    report = score_scans(engine, predictor, scans)
    assert 3 not in predictor.predicted
    assert (report.scored, report.skipped) == (7, 1)


def test_what_is_labelled_or_scored_elsewhere_meanwhile_is_left_out(engine: Engine, scans: list[Scan]) -> None:
    def meanwhile(stage: str, done: int, total: int, /, **figures: float) -> None:
        if done == 1:
            mark_labelled(engine, "scan_4")
            record_score(engine, "scan_6", "g", {"lesion": 0.123}, seconds=1.0, scored=Scored(scans[6].stamp))

    predictor = GreyValues()
    report = score_scans(engine, predictor, scans, progress=meanwhile)
    assert predictor.predicted == [0, 1, 2, 3, 5, 7]
    assert (report.scored, report.skipped) == (6, 2)
    assert {line.scan: line.mean_estimated_dsc for line in ranking(engine, "g")}["scan_6"] == 0.123


def test_broken_scans_are_recorded_with_their_reason_and_do_not_stop_the_rest(
    engine: Engine, scans: list[Scan], tmp_path: Path
) -> None:
    truncated = tmp_path / "scan_1.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:80])
    write_volume(tmp_path / "scan_2.nii.gz", Volume(np.full((5, 4, 3), np.nan, np.float32), AFFINE))
    write_volume(tmp_path / "scan_3.nii.gz", Volume(np.zeros((2, 5, 4, 3), np.float32), AFFINE))

    def download() -> Path:
        raise ConnectionError("the PACS\ndoes not answer")

    scans[4] = Scan("scan_4", download)
    scans[5] = Scan("scan_5", tmp_path / "gone.nii.gz")
    report = score_scans(engine, GreyValues(), scans)
    assert report.scored == 3
    reasons = dict(report.failed)
    assert "cannot be read as an image" in reasons["scan_1"]
    assert "60 NaN or infinite voxels" in reasons["scan_2"]
    assert "has 4 dimensions" in reasons["scan_3"]
    assert reasons["scan_4"] == "ConnectionError: the PACS does not answer"
    assert "no such file" in reasons["scan_5"]
    assert {line.scan: line.error for line in ranking(engine, "g") if line.error} == reasons
    assert all("\n" not in reason for reason in reasons.values())


def test_a_heatmap_that_is_not_finite_is_a_failure_not_a_score(engine: Engine, scans: list[Scan]) -> None:
    class Diverged(GreyValues):
        def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
            prediction = super().predict(scan, region)
            return replace(prediction, heatmap=prediction.heatmap * np.float32(np.nan))

    report = score_scans(engine, Diverged(), scans[:1])
    assert "NaN" in report.failed[0][1]
    assert ranking(engine, "g")[0].mean_estimated_dsc is None


def test_a_failure_stands_for_a_while_and_a_repaired_file_is_scored_at_once(
    engine: Engine, scans: list[Scan], tmp_path: Path
) -> None:
    path = tmp_path / "scan_0.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:80])
    assert len(score_scans(engine, GreyValues(), scans[:2]).failed) == 1
    assert score_scans(engine, GreyValues(), scans[:2]).skipped == 2
    assert len(score_scans(engine, GreyValues(), scans[:2], retry_seconds=0).failed) == 1
    path.write_bytes(whole)
    report = score_scans(engine, GreyValues(), scans[:2])
    assert (report.scored, report.skipped) == (1, 1)
    assert {line.scan: line.error for line in ranking(engine, "g")} == {"scan_0": None, "scan_1": None}


def test_a_scan_that_is_fetched_is_scored_as_one_that_lies_there(engine: Engine, scans: list[Scan]) -> None:
    path = scans[2].image
    assert isinstance(path, Path)
    score_scans(engine, GreyValues(), [Scan("scan_2", lambda: path)])
    assert ranking(engine, "g")[0].mean_estimated_dsc == pytest.approx(expected(2), rel=1e-5)


def test_the_region_mask_reaches_the_predictor_and_must_lie_on_the_scan(
    engine: Engine, scans: list[Scan], tmp_path: Path
) -> None:
    mask = np.zeros((5, 4, 3), np.uint8)
    mask[2:] = 1
    write_volume(tmp_path / "region.nii.gz", Volume(mask, AFFINE))
    write_volume(tmp_path / "elsewhere.nii.gz", Volume(mask, AFFINE + np.eye(4)[:, [3, 0, 1, 2]]))
    first, second = scans[0].image, scans[1].image
    report = score_scans(
        engine,
        GreyValues(),
        [Scan("in", first, tmp_path / "region.nii.gz"), Scan("out", second, tmp_path / "elsewhere.nii.gz")],
    )
    heatmap = grey_scan(0)[None] / 100 * mask
    wanted = estimated_dsc(heatmap, (heatmap[0] > 0.5).astype(int), voxel_volume=12.0, typical_volumes=[100.0])
    assert ranking(engine, "g")[0].mean_estimated_dsc == pytest.approx(wanted[0], rel=1e-5)
    assert [name for name, _ in report.failed] == ["out"]
    assert "elsewhere.nii.gz" in report.failed[0][1]


def test_progress_is_told_after_every_scan(engine: Engine, scans: list[Scan], tmp_path: Path) -> None:
    told = []

    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        told.append((stage, done, total, figures))

    (tmp_path / "scan_1.nii.gz").unlink()
    score_scans(engine, GreyValues(), scans[:3], progress=progress)
    assert [entry[:3] for entry in told] == [("scoring", 1, 3), ("scoring", 2, 3), ("scoring", 3, 3)]
    assert told[0][3] == {"failed": 0, "estimated_dsc": pytest.approx(expected(0), rel=1e-5)}
    assert told[1][3] == {"failed": 1}


@pytest.mark.parametrize(
    ("error", "ends_as"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StorageError),
        (StorageError("scan.nii.gz: cannot be written"), StorageError),
        (UnreachableError("the PACS does not answer"), UnreachableError),
        (DamagedGenerationError("members: differ"), DamagedGenerationError),
    ],
)
def test_what_is_no_fault_of_the_scans_ends_the_run_and_is_booked_for_none(
    engine: Engine, scans: list[Scan], error: Exception, ends_as: type[Exception]
) -> None:
    def download() -> Path:
        raise error

    with pytest.raises(ends_as):
        score_scans(engine, GreyValues(), [scans[0], Scan("scan_1", download), scans[2]])
    ranked = {line.scan: line for line in ranking(engine, "g")}
    assert set(ranked) >= {"scan_0"}
    assert all(line.error is None for line in ranked.values())
    assert score_scans(engine, GreyValues(), scans[:3]).scored == 2


def test_a_database_that_cannot_be_written_ends_the_run_instead_of_blaming_the_scans(
    tmp_path: Path, scans: list[Scan]
) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    score_scans(engine, GreyValues(), scans[:1])
    with reading(engine) as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(DatabaseError, match="readonly"):
        score_scans(engine, GreyValues(), scans)
    with reading(engine) as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
    assert [line.scan for line in ranking(engine, "g")] == ["scan_0"]


def score_slowly(database: str, scans: list[Scan]) -> None:
    score_scans(open_database(database), GreyValues(seconds=0.3), scans)


def test_a_run_that_is_killed_goes_on_where_it_was(engine: Engine, database: str, scans: list[Scan]) -> None:
    def stored() -> int:
        with reading(engine) as connection:
            return connection.execute(select(func.count()).select_from(scores)).scalar_one()

    process = multiprocessing.get_context("spawn").Process(target=score_slowly, args=(database, scans))
    process.start()
    deadline = time.monotonic() + 60
    while stored() < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    survived = stored()
    assert 3 <= survived < COUNT
    predictor = GreyValues()
    report = score_scans(engine, predictor, scans)
    assert predictor.predicted == list(range(survived, COUNT))
    assert (report.scored, report.skipped) == (COUNT - survived, survived)
    found = {line.scan: line.mean_estimated_dsc for line in ranking(engine, "g")}
    assert found == {f"scan_{number}": pytest.approx(expected(number), rel=1e-5) for number in range(COUNT)}


def test_a_shortage_of_memory_is_not_blamed_on_the_scan(engine: Engine, scans: list[Scan]) -> None:
    class Short(GreyValues):
        def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
            if scan.array[0, 0, 0] < 3:
                raise MemoryError("CUDA out of memory")
            return super().predict(scan, region)

    report = score_scans(engine, Short(), scans)
    assert (report.scored, [name for name, _ in report.failed]) == (COUNT - 3, ["scan_0", "scan_1", "scan_2"])
    assert score_scans(engine, GreyValues(), scans).scored == 3


def test_a_scan_that_was_replaced_under_its_name_is_scored_again(engine: Engine, scans: list[Scan]) -> None:
    score_scans(engine, GreyValues(), scans[:3])
    path = scans[1].image
    assert isinstance(path, Path)
    before = path.stat()
    other = path.with_name("other.nii.gz")
    write_volume(other, Volume(grey_scan(7), AFFINE))
    other.write_bytes(other.read_bytes().ljust(before.st_size, b"\0")[: before.st_size])
    other.replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync and cp -p leave it
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    write_volume(path.with_name("scan_2.nii.gz"), Volume(grey_scan(6), AFFINE))
    predictor = GreyValues()
    report = score_scans(engine, predictor, scans[:3])
    assert (report.scored + len(report.failed), report.skipped) == (2, 1)
    found = {line.scan: line.mean_estimated_dsc for line in ranking(engine, "g")}
    assert found["scan_0"] == pytest.approx(expected(0), rel=1e-5)
    assert found["scan_2"] == pytest.approx(expected(6), rel=1e-5)
    assert found["scan_1"] != pytest.approx(expected(1), rel=1e-5)


def test_a_region_mask_that_comes_later_or_changes_or_goes_has_the_scan_scored_again(
    engine: Engine, scans: list[Scan], tmp_path: Path
) -> None:
    region = tmp_path / "region.nii.gz"

    def write_mask(first: int) -> Scan:
        mask = np.zeros((5, 4, 3), np.uint8)
        mask[first:] = 1
        write_volume(region, Volume(mask, AFFINE))
        return replace(scans[0], region=region)

    estimates = []
    for first in (None, 2, 3, None):
        scan = scans[0] if first is None else write_mask(first)
        assert score_scans(engine, GreyValues(), [scan]).scored == 1
        estimates.append(ranking(engine, "g")[0].mean_estimated_dsc)
    assert estimates[0] == estimates[3] == pytest.approx(expected(0), rel=1e-5)
    assert len(set(estimates)) == 3


def test_files_that_are_only_written_again_keep_their_score(engine: Engine, scans: list[Scan]) -> None:
    score_scans(engine, GreyValues(), scans)
    for scan in scans:
        assert isinstance(scan.image, Path)
        scan.image.write_bytes(scan.image.read_bytes())
    predictor = GreyValues()
    assert score_scans(engine, predictor, scans).skipped == COUNT
    assert predictor.predicted == []


def test_a_file_that_changes_while_it_is_scored_is_scored_again_the_next_time(
    engine: Engine, scans: list[Scan], tmp_path: Path
) -> None:
    class Slow(GreyValues):
        def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
            write_volume(tmp_path / "scan_0.nii.gz", Volume(grey_scan(5), AFFINE))
            return super().predict(scan, region)

    score_scans(engine, Slow(), scans[:1])
    assert score_scans(engine, GreyValues(), scans[:1]).scored == 1
    assert ranking(engine, "g")[0].mean_estimated_dsc == pytest.approx(expected(5), rel=1e-5)


def test_a_scan_with_an_empty_region_mask_has_no_score_but_the_reason(
    engine: Engine, scans: list[Scan], tmp_path: Path
) -> None:
    write_volume(tmp_path / "region.nii.gz", Volume(np.zeros((5, 4, 3), np.uint8), AFFINE))
    report = score_scans(engine, GreyValues(), [replace(scans[0], region=tmp_path / "region.nii.gz")])
    (line,) = ranking(engine, "g")
    assert line.mean_estimated_dsc is None
    assert dict(report.failed)["scan_0"] == line.error
    assert "region.nii.gz: the region mask marks no voxel; draw the region, or remove the mask" in str(line.error)
