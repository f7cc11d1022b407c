import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lib.datasets.scans import LabelledScan
from lib.ensemble_training.train import train_ensemble
from lib.models.generation import read_generation
from lib.models.workspace import Workspace
from lib.simulation.phantoms import PhantomFiles, write_phantoms
from tests.tiny_training import Trained, a_task, write_balls


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[PhantomFiles]:
    return write_phantoms(tmp_path_factory.mktemp("phantoms"), 2)


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> tuple[LabelledScan, ...]:
    return write_balls(tmp_path_factory.mktemp("balls"), 8)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, balls: tuple[LabelledScan, ...]) -> Trained:
    task, scans = a_task(), balls[:6]
    workspace = Workspace(tmp_path_factory.mktemp("trained"))
    generation = train_ensemble(task, scans, workspace, device="cpu")
    assert generation is not None
    return Trained(task, scans, workspace, generation)


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Trained:
    """The trained workspace to write into."""
    shutil.copytree(trained.workspace.root, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    generation = read_generation(workspace.generations / trained.generation.id)
    return replace(trained, workspace=workspace, generation=generation)
