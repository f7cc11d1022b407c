"""What a client reads when something goes wrong: a status and one line, never a stack trace.

All below raises `lib.errors`, which know nothing of HTTP; they become answers at the server's edge, here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)

from apps.calibrated_ensemble.plain_text import one_line, without_folders
from lib.errors import (
    BusyError,
    ConflictError,
    DamagedGenerationError,
    DatabaseError,
    InputError,
    NotTrainedError,
    ProductError,
    StorageError,
    UnreachableError,
)
from lib.storage.disk import is_disk_full

STATUSES: dict[type[Exception], int] = {
    InputError: 422,
    ConflictError: 409,
    NotTrainedError: 409,
    BusyError: 409,
    StorageError: 507,
    DatabaseError: 503,
    UnreachableError: 503,
    DamagedGenerationError: 500,
    ProductError: 500,
}
"""HTTP status of an error; that of the nearest class counts."""

# MONAI Label reports a model, trainer or strategy of an unknown name by these.
_UNKNOWN_NAME = frozenset({MONAILabelError.INVALID_INPUT, MONAILabelError.APP_INIT_ERROR})


def answer_errors(server: FastAPI, *, folders: Iterable[Path] = ()) -> None:
    """Have a server answer errors that a person can act on with their message as `detail`, or as its `message`.

    The status is that of `STATUSES`; 404 for an unknown scan, label, model, trainer or strategy, 422 for a
    request that lacks something, and 507 for a full disk that nobody foresaw. What is an error of the program
    itself stays one.

    Args:
        server: may have started already.
        folders: of the server; files in them are named without them.
    """
    hidden = tuple(folders)

    def answer(message: str, status: int, facts: Mapping[str, Any] | None = None) -> JSONResponse:
        line = one_line(without_folders(message, hidden))
        return JSONResponse({"detail": {"message": line, **facts} if facts else line}, status)

    async def answer_product_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, ProductError)
        status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
        return answer(message_of(error), status, error.facts if isinstance(error, ConflictError) else None)

    async def answer_monai_label_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, MONAILabelException)
        not_found = isinstance(error, ImageNotFoundException | LabelNotFoundException) or error.error in _UNKNOWN_NAME
        return answer(message_of(error), 404 if not_found else 500)

    async def answer_wrong_request(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        assert isinstance(error, RequestValidationError)
        return answer(_wrong_part(error), STATUSES[InputError])

    async def answer_full_disk(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        if not is_disk_full(error):
            raise error
        return answer(f"{error}: free some space on the server", STATUSES[StorageError])

    server.add_exception_handler(ProductError, answer_product_error)
    server.add_exception_handler(MONAILabelException, answer_monai_label_error)
    server.add_exception_handler(RequestValidationError, answer_wrong_request)
    server.add_exception_handler(OSError, answer_full_disk)
    # A server that has started has made its handlers up; the next request asks the new ones.
    server.middleware_stack = server.build_middleware_stack()


def message_of(error: ProductError | MONAILabelException) -> str:
    """One line for a client of the server."""
    if isinstance(error, MONAILabelException):
        return str(error.msg)
    if isinstance(error, NotTrainedError):
        return f"{error}: run the trainer `ensemble`"
    return str(error)


def _wrong_part(error: RequestValidationError) -> str:
    # The framework's own answer repeats what was sent, which may be long, or no text that can be sent back.
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return f"{where}: {first['msg']}"
