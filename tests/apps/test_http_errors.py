"""Errors at the server's edge, whoever raises them."""

import errno

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)

from apps.calibrated_ensemble.http_errors import STATUSES, answer_errors
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


def answer_to(error: Exception, *, when_started: bool = False) -> tuple[int, object]:
    """Status and detail of what a server answers that raises this."""

    def fail() -> None:
        raise error

    server = FastAPI()
    server.add_api_route("/", fail)
    client = TestClient(server, raise_server_exceptions=False)
    if when_started:
        assert client.get("/openapi.json").status_code == 200
    answer_errors(server)
    answer = client.get("/")
    return answer.status_code, answer.json()["detail"] if answer.status_code != 500 or "{" in answer.text else None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("wrong"), 422),
        (BusyError("another training is running"), 409),
        (StorageError("a.nii.gz: cannot be written (No space left on device)"), 507),
        (DatabaseError("the database is locked"), 503),
        (UnreachableError("the PACS does not answer"), 503),
        (DamagedGenerationError("broken"), 500),
        (ProductError("something else that was foreseen"), 500),
    ],
)
@pytest.mark.parametrize("when_started", [False, True])
def test_errors_become_answers_with_their_message(error: Exception, status: int, when_started: bool) -> None:
    assert answer_to(error, when_started=when_started) == (status, str(error))


def test_before_the_first_generation_the_answer_says_what_to_run() -> None:
    assert answer_to(NotTrainedError("work: no model is trained yet")) == (
        409,
        "work: no model is trained yet: run the trainer `ensemble`",
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImageNotFoundException("nobody: no such scan"), 404),
        (LabelNotFoundException("nobody: no such scan"), 404),
        (MONAILabelException(MONAILabelError.INVALID_INPUT, "nobody: no such scan"), 404),
        (MONAILabelException(MONAILabelError.APP_INIT_ERROR, "nobody: no such scan"), 404),
        (MONAILabelException(MONAILabelError.INFERENCE_ERROR, "nobody: no such scan"), 500),
    ],
)
def test_what_monai_label_raises_is_answered_as_well(error: Exception, status: int) -> None:
    assert answer_to(error) == (status, "nobody: no such scan")


def test_a_full_disk_that_nobody_foresaw_is_507_and_other_failures_of_the_system_are_our_own() -> None:
    status, detail = answer_to(OSError(errno.ENOSPC, "No space left on device", "/tmp/upload.nii.gz"))
    assert status == 507
    assert "/tmp/upload.nii.gz" in str(detail)
    assert answer_to(OSError(errno.EPERM, "Operation not permitted")) == (500, None)


def test_errors_of_the_program_itself_are_not_hidden() -> None:
    assert answer_to(ZeroDivisionError("a secret")) == (500, None)


def test_every_class_of_error_has_a_status() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProductError)]
    assert len(classes) > 5
    assert [kind for kind in classes if kind not in STATUSES] == []
