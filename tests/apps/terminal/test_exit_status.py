import signal

import pytest

from apps.calibrated_ensemble.terminal.exit_status import STATUSES, exit_status, status_of
from lib import errors
from lib.errors import (
    BusyError,
    DamagedGenerationError,
    DatabaseError,
    InputError,
    NotTrainedError,
    ProductError,
    StorageError,
    UnreachableError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("wrong"), 2),
        (BusyError("another training is running"), 4),
        (StorageError("a.nii.gz: cannot be written (No space left on device)"), 1),
        (DatabaseError("the database is locked"), 1),
        (UnreachableError("the PACS does not answer"), 1),
        (DamagedGenerationError("broken"), 1),
        (FloatingPointError("the loss is no number"), 1),
        (OSError("of the system"), 1),
    ],
)
def test_a_foreseen_error_is_one_line_with_its_status(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    assert exit_status(command) == status
    assert capsys.readouterr().err == f"calibrated-ensemble: {error}\n"


def test_before_the_first_generation_the_line_says_what_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise NotTrainedError("work: no model is trained yet; then train")

    assert exit_status(command) == 2
    assert capsys.readouterr().err == (
        "calibrated-ensemble: work: no model is trained yet; then train (`calibrated-ensemble train`)\n"
    )


def test_what_nobody_foresaw_is_raised() -> None:
    def command() -> None:
        raise ZeroDivisionError

    assert status_of(ZeroDivisionError()) is None
    with pytest.raises(ZeroDivisionError):
        exit_status(command)


@pytest.mark.parametrize(("given", "status"), [(None, 0), (0, 0), (2, 2)])
def test_a_command_may_give_its_own_status(given: int | None, status: int) -> None:
    assert exit_status(lambda: given) == status


def test_what_a_message_quotes_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise InputError("scan.nrrd: endian is 'littl\x18', \x1b[2J \udcff, café")

    assert exit_status(command) == 2
    line = capsys.readouterr().err
    assert line == "calibrated-ensemble: scan.nrrd: endian is 'littl\\x18', \\x1b[2J \\udcff, café\n"


def test_every_class_of_error_has_a_status() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProductError)]
    assert len(classes) > 5
    assert [kind for kind in classes if status_of(kind.__new__(kind)) is None] == []
    assert NotTrainedError in STATUSES


def test_a_command_that_is_told_to_end_says_so_and_has_the_status_of_the_signal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise StorageError("a.nii.gz: half-written")

    before = signal.getsignal(signal.SIGTERM)
    assert exit_status(command) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == (
        "calibrated-ensemble: stopped; what is finished is kept, run the same command again to go on\n"
    )
