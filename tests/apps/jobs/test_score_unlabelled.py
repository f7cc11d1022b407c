"""Scoring as every door does it, with a model that takes the grey value for the probability."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.calibrated_ensemble.jobs import score_unlabelled as job
from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled, scoring_figures
from lib.datasets.scan_source import PredictedScan
from lib.datasets.studies_folder import FolderScans
from lib.errors import NotTrainedError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.models.prediction import Prediction
from lib.progress import silent
from lib.task.task import Task
from scoring.worklist.ranking import ranking
from tests.apps.made_up_project import ONE_CLASS, open_project


@dataclass(frozen=True)
class Generation:
    id: str
    task: Task = ONE_CLASS
    typical_volumes: tuple[float, ...] = (1.0,)


class GreyValues:
    def __init__(self, generation: Generation, *, device: str):  # noqa: ARG002
        self.generation = generation

    def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:  # noqa: ARG002
        heatmap = scan.array[None]
        return Prediction(
            (heatmap[0] > 0.5).astype(np.uint8),
            heatmap,
            affine=scan.affine,
            generation=self.generation.id,
            classes=self.generation.task.classes,
            typical_volumes=self.generation.typical_volumes,
        )


@dataclass
class MadeUpWorkspace:
    generations: list[str]

    def current(self) -> str:
        return self.generations[0]

    def generation(self) -> Generation:
        return Generation(self.current())

    @contextmanager
    def scoring_lock(self) -> Iterator[None]:
        yield


@dataclass
class Keeping(FolderScans):
    """Scans of a folder that remember which heatmaps they were offered."""

    folder: Path
    kept: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.folder, ONE_CLASS)

    def keep_heatmap(self, name: str, prediction: PredictedScan) -> None:
        self.kept.append((name, prediction.generation, prediction.classes))


@pytest.fixture
def scans(tmp_path: Path) -> Keeping:
    for number, name in enumerate("abcd"):
        array = np.full((4, 4, 4), 0.6 + number / 10, np.float32)
        write_volume(tmp_path / "studies" / f"{name}.nii.gz", Volume(array, np.eye(4)))
    write_volume(
        tmp_path / "studies" / "labels" / "final" / "a.nii.gz", Volume(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    )
    return Keeping(tmp_path / "studies")


def test_before_the_first_generation_the_scans_are_known_and_none_is_scored(tmp_path: Path, scans: Keeping) -> None:
    with open_project(tmp_path) as project:
        with pytest.raises(NotTrainedError):
            score_unlabelled(project, scans, progress=silent)
        assert {line.scan for line in ranking(project.engine, None)} == {"b", "c", "d"}


def test_unlabelled_scans_are_scored_once_and_their_heatmaps_offered_to_the_source(
    tmp_path: Path, scans: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "Ensemble", GreyValues)
    workspace: Any = MadeUpWorkspace(["g1"])
    with open_project(tmp_path) as opened:
        project = replace(opened, workspace=workspace)
        figures = scoring_figures(score_unlabelled(project, scans, progress=silent))
        assert figures | {"seconds": 0} == {"generation": "g1", "scored": 3, "skipped": 0, "failed": {}, "seconds": 0}
        assert scans.kept == [(name, "g1", ("lesion",)) for name in "bcd"]
        assert score_unlabelled(project, scans, progress=silent).skipped == 3
        assert len(scans.kept) == 3


def test_a_run_goes_over_to_a_generation_that_is_published_meanwhile(
    tmp_path: Path, scans: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "Ensemble", GreyValues)
    made_up = MadeUpWorkspace(["g1"])
    workspace: Any = made_up

    def publish(stage: str, done: int, total: int, /, **figures: float) -> None:
        made_up.generations = ["g2"]

    with open_project(tmp_path) as opened:
        report = score_unlabelled(replace(opened, workspace=workspace), scans, progress=publish)
        assert (report.generation, report.scored) == ("g2", 3)
        assert [generation for _, generation, _ in scans.kept] == ["g1", "g2", "g2", "g2"]
        assert all(line.mean_estimated_dsc is not None for line in ranking(opened.engine, "g2"))
