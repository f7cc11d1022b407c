from pathlib import Path

import pytest

from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path, task_names
from lib.errors import InputError
from lib.task.presets import PRESETS
from lib.task.task import Modality


def test_the_tasks_of_the_contract_come_with_the_app() -> None:
    assert task_names() == ["glioma", "hippocampus", "kidney_tumor", "ovarian_cancer", "phantom"]


@pytest.mark.parametrize("name", task_names())
def test_every_task_that_comes_with_the_app_can_be_read(name: str) -> None:
    assert task_by_name_or_path(name).name == name


def test_the_papers_tasks_have_the_papers_settings() -> None:
    """Section 3 of the paper."""
    kidney, ovary = task_by_name_or_path("kidney_tumor"), task_by_name_or_path("ovarian_cancer")
    assert (kidney.w_dsc, kidney.region, len(kidney.classes)) == ((-1.0,), "kidney", 1)
    assert (ovary.w_dsc, ovary.region, ovary.classes) == ((-0.5, -1.5), None, ("pelvic_ovarian", "omentum"))
    for task in (kidney, ovary):
        assert task.modality is Modality.CT
        assert task.spacing == (0.8, 0.8, 5.0)
        assert task.offsets == (-3, -2, -1, 0, 1, 2, 3)
        assert task.network == PRESETS["paper"].network
        assert task.training == PRESETS["paper"].training


def test_the_real_data_at_hand_have_their_tasks() -> None:
    assert task_by_name_or_path("hippocampus").labels == {"anterior": 1, "posterior": 2}
    glioma = task_by_name_or_path("glioma")
    assert glioma.labels == {"tumour": 1}
    assert glioma.patient("TCGA_CS_4941") == glioma.patient("TCGA_CS_4941_20010101") == "TCGA_CS_4941"


def test_a_preset_takes_the_place_of_the_tasks(tmp_path: Path) -> None:
    assert task_by_name_or_path("kidney_tumor", preset="demo").network == PRESETS["demo"].network


def test_a_path_is_read_and_a_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("name: mine\nmodality: CT\nlabels: {cyst: 1}\n")
    Path("glioma").write_text("name: wrong\nmodality: CT\nlabels: {cyst: 1}\n")
    assert task_by_name_or_path("mine.yaml").name == "mine"
    assert task_by_name_or_path("glioma").name == "glioma"


@pytest.mark.parametrize("text", ["liver", "", "missing.yaml", "../tasks/glioma"])
def test_what_is_no_task_is_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(InputError, match="neither a task file nor one of glioma, hippocampus"):
        task_by_name_or_path(text)
