"""The contract of all commands: exit statuses, one-line messages, JSON on the standard output alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from apps.calibrated_ensemble.command_line import run
from lib.errors import DamagedGenerationError
from tests.tiny_studies import make_tiny_studies

COMMAND = [sys.executable, "-c", "from apps.calibrated_ensemble.command_line import main; main()"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused with status 2, one line and nothing on the standard output."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("calibrated-ensemble: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Missing option '--studies'"),
        (["frain"], "No such command 'frain'"),
        (["rank", "--studies", ".", "--preset", "huge"], "'huge' is not one of 'paper', 'small', 'demo'"),
        (["predict", "a.nii.gz", "--output", "out"], "--workspace: is missing"),
        (["train", "--studies", "no/such/folder"], "no/such/folder: no such folder"),
        (["train", "--studies", ".", "--task", "liver"], "task 'liver': is neither a task file nor one of glioma"),
        (["train", "--studies", "no/such/folder", "--workspace", "work"], "no/such/folder: no such folder"),
        (["train", "--studies", "."], ".: holds no scans; put .nii.gz, .nii, .nrrd files into it, or run"),
        (["serve", "--studies", "no/such/folder"], "no/such/folder: no such folder"),
        (["serve", "--studies", ".", "--task", "liver"], "task 'liver'"),
        (["demo", "--no-serve", "--studies", "no/such/folder"], "no/such/folder: no such folder"),
        (["prepare", "--images", "no/such", "--output", "out"], "no/such: no such folder"),
        (["prepare", "--images", ".", "--output", "out", "--regions", "."], "--regions: give --task as well"),
    ],
)
def test_wrong_input_is_told_in_one_line_with_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(arguments, capsys)


def test_a_folder_without_labels_cannot_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scan.nii.gz").touch()
    assert "no scan has a label yet" in refused(["train", "--studies", str(tmp_path)], capsys)


def test_ranking_and_predicting_need_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scan.nii.gz").touch()
    studies = ["--studies", str(tmp_path)]
    assert "no model is trained yet" in refused(["rank", *studies], capsys)
    assert "no model is trained yet" in refused(["predict", "scan.nii.gz", "--output", "out", *studies], capsys)
    assert not (tmp_path / ".calibrated_ensemble").exists()


def test_a_wrong_key_of_a_task_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nmodality: CT\nlabels: {lesion: 1}\nspcing: median\n")
    line = refused(["train", "--studies", str(tmp_path), "--task", str(file)], capsys)
    assert f"{file}: unknown key `spcing`; known are" in line


def test_a_workspace_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studies = make_tiny_studies(tmp_path)
    (tmp_path / "file").touch()
    arguments = ["train", "--studies", str(studies.folder), "--task", str(studies.task)]
    assert run([*arguments, "--workspace", str(tmp_path / "file" / "workspace")]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "file/workspace: cannot be made" in line


@pytest.mark.parametrize("command", ["train", "rank"])
def test_a_pacs_that_does_not_answer_is_told_in_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/dicom-web"
    # Without a model `rank` has nothing to ask the PACS for.
    assert run([command, "--studies", url, "--task", "phantom"]) == (1 if command == "train" else 2)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert ("the PACS does not answer" if command == "train" else "no model is trained yet") in line


def test_nothing_is_made_where_there_are_no_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--studies", "no/such/folder"]) == 2
    assert run(["train", "--studies", "."]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_labels_that_there_are_not_names_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "case.nii.gz").touch()
    sources = ["--images", str(tmp_path / "imagesTr"), "--labels", str(tmp_path / "labelsTr")]
    line = refused(["prepare", *sources, "--output", str(tmp_path / "studies"), "--labelled", "2"], capsys)
    assert "--labelled: is 2, but 1 scans have a label" in line


def test_the_environment_sets_what_options_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scan.nii.gz").touch()
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_TASK", "liver")
    assert "task 'liver'" in refused(["train", "--studies", str(tmp_path)], capsys)
    assert "no scan has a label" in refused(["train", "--studies", str(tmp_path), "--task", "glioma"], capsys)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in ("prepare", "train", "predict", "rank", "serve", "demo"))


def test_help_does_not_wait_for_torch() -> None:
    script = (
        "import sys, apps.calibrated_ensemble.command_line as c; c.run(['--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


def test_prepare_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = tmp_path / "imagesTr", tmp_path / "labelsTr"
    for folder in (images, labels):
        folder.mkdir()
        for number in range(4):
            (folder / f"case_{number}.nii.gz").write_text(f"{folder.name} {number}")
    arguments = ["prepare", "--images", str(images), "--labels", str(labels), "--output", str(tmp_path / "studies")]
    assert run([*arguments, "--labelled", "2", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["scans"], len(made["labelled"]), made["kept"]) == (4, 2, [])
    assert {path.name for path in (tmp_path / "studies" / "labels" / "final").iterdir()} == {
        f"{name}.nii.gz" for name in made["labelled"]
    }
    assert run(arguments) == 0
    assert "4 scans, 4 of them labelled" in capsys.readouterr().err


def test_regions_get_the_tag_of_the_task(tmp_path: Path) -> None:
    images, masks = tmp_path / "imagesTr", tmp_path / "kidneys"
    for folder in (images, masks):
        folder.mkdir()
        (folder / "case.nii.gz").touch()
    arguments = ["prepare", "--images", str(images), "--output", str(tmp_path / "studies")]
    assert run([*arguments, "--regions", str(masks), "--task", "kidney_tumor"]) == 0
    assert (tmp_path / "studies" / "labels" / "kidney" / "case.nii.gz").is_file()


@pytest.mark.parametrize("follows", [RuntimeError("unexpected pos"), OSError("broken"), None])
def test_an_error_that_only_follows_on_ctrl_c_is_no_failure(
    follows: Exception | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            if follows is not None:
                raise follows

    monkeypatch.setattr("apps.calibrated_ensemble.commands.prepare.prepare_studies", stopped)
    assert run(["prepare", "--images", str(tmp_path), "--output", str(tmp_path)]) == 130
    assert capsys.readouterr().err == (
        "calibrated-ensemble: stopped; what is finished is kept, run the same command again to go on\n"
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DamagedGenerationError("members: differ"), "calibrated-ensemble: members: differ\n"),
        (FloatingPointError("the loss is no number"), "calibrated-ensemble: the loss is no number\n"),
    ],
)
def test_a_foreseen_failure_is_one_line_with_status_1(
    error: Exception, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("apps.calibrated_ensemble.commands.prepare.prepare_studies", fail)
    assert run(["prepare", "--images", str(tmp_path), "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_a_training_says_that_it_can_go_on(tmp_path: Path, stop: signal.Signals, status: int) -> None:
    studies = make_tiny_studies(tmp_path)
    studies.task.write_text(studies.task.read_text().replace("iterations: 24", "iterations: 100000"))
    process = subprocess.Popen(
        [*COMMAND, "train", "--studies", str(studies.folder), "--task", str(studies.task), "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training: "):
                break
        process.send_signal(stop)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status, said
    assert said.strip().splitlines()[-1] == (
        "calibrated-ensemble: stopped; what is finished is kept, run the same command again to go on"
    )
    assert "Traceback" not in said
