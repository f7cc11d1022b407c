"""A trained workspace with a baseline, and its evaluation by scans that it has not seen."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.calibrated_ensemble.command_line import run
from lib.evaluation.compared_heatmaps import Comparison, compare_workspace
from lib.models.workspace import Workspace
from tests.made_once import made_once
from tests.tiny_studies import TinyStudies, train_tiny_studies


@dataclass(frozen=True)
class Judged:
    """A tiny training with a baseline, and the folder of its evaluation; tests must not write into them."""

    studies: TinyStudies
    output: Path

    @property
    def data_set(self) -> Path:
        return self.studies.task.parent / "phantoms"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.studies.folder / ".calibrated_ensemble")

    @property
    def metrics(self) -> dict[str, Any]:
        return json.loads((self.output / "metrics.json").read_text())

    def arguments(self, output: Path, *others: str) -> list[str]:
        """Of the command, for all scans of the data set and the model of the studies."""
        folders = {"images": "imagesTr", "labels": "labelsTr", "regions": "regionsTr"}
        sources = [part for name, folder in folders.items() for part in (f"--{name}", str(self.data_set / folder))]
        common = ["--output", str(output), "--studies", str(self.studies.folder), "--device", "cpu"]
        return ["evaluate", *sources, *common, *others]


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return made_once(tmp_path_factory, "judged", _judge)


def _judge(folder: Path) -> Judged:
    studies = train_tiny_studies(folder)
    train = ["train", "--studies", str(studies.folder), "--task", str(studies.task), "--device", "cpu"]
    assert run([*train, "--method", "dropout"]) == 0
    judged = Judged(studies, folder / "evaluation")
    assert run(judged.arguments(judged.output)) == 0
    return judged


@pytest.fixture(scope="session")
def comparison(judged: Judged) -> Comparison:
    return compare_workspace(judged.workspace)
