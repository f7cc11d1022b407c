from pathlib import Path

import pytest

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions, naming_options
from lib.errors import InputError, NotTrainedError
from tests.apps.made_up_project import ONE_CLASS


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_TASK", "glioma")
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_DEVICE", "cuda")
    context = CommandContext.of_options(CommandOptions("studies", device="cpu"))
    assert (context.settings.task, context.settings.device) == ("glioma", "cpu")
    assert (context.task, context.preset) == (None, None)


@pytest.mark.parametrize(("studies", "expected"), [("http://pacs/dicom-web", True), ("studies", False), (None, False)])
def test_a_url_is_a_pacs(studies: str | None, expected: bool) -> None:
    assert CommandContext.of_options(CommandOptions(studies)).is_on_pacs == expected


def test_the_scans_of_a_folder_come_with_their_project(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    context = CommandContext.of_options(CommandOptions(str(tmp_path)))
    with context.opened(ONE_CLASS) as (project, scans):
        assert scans.names().all == {"a"}
        assert project.task == ONE_CLASS
        assert project.workspace.root == tmp_path / ".calibrated_ensemble"
    # The index of a studies folder is the server's.
    assert {path.name for path in tmp_path.iterdir()} == {"a.nii.gz", ".calibrated_ensemble"}


@pytest.mark.parametrize(("folder", "message"), [("none", "no such folder"), ("empty", "holds no scans.*prepare")])
def test_a_folder_without_scans_is_refused_before_anything_is_made(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    context = CommandContext.of_options(CommandOptions(str(tmp_path / folder)))
    with pytest.raises(InputError, match=message), context.opened(ONE_CLASS):
        pytest.fail("was opened")
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "none").exists()


def test_without_a_model_nothing_is_made(tmp_path: Path) -> None:
    context = CommandContext.of_options(CommandOptions(str(tmp_path)))
    with pytest.raises(NotTrainedError):
        context.generation()
    assert list(tmp_path.iterdir()) == []


def test_an_option_is_named_where_a_message_names_its_argument() -> None:
    with pytest.raises(InputError, match=r"^--labelled: is -1, but"), naming_options("labelled"):
        raise InputError("labelled: is -1, but 8 scans have a label")
    with pytest.raises(InputError, match=r"^labels: no such folder"), naming_options("labelled"):
        raise InputError("labels: no such folder")
