"""What a client reads when something goes wrong: a status and one line, never a stack trace.

All below raises `lib.errors`, which know nothing of HTTP; they become answers at the server's edge, here.
"""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)

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


def answer_errors(server: FastAPI) -> None:
    """Have a server answer errors that a person can act on with their message as `detail`, or as its `message`.

    The status is that of `STATUSES`; 404 for an unknown scan, label, model, trainer or strategy, and
    507 for a full disk that nobody foresaw. What is an error of the program itself stays one.

    Args:
        server: may have started already.
    """
    server.add_exception_handler(ProductError, _answer_product_error)
    server.add_exception_handler(MONAILabelException, _answer_monai_label_error)
    server.add_exception_handler(OSError, _answer_full_disk)
    # A server that has started has made its handlers up; the next request asks the new ones.
    server.middleware_stack = server.build_middleware_stack()


def message_of(error: ProductError | MONAILabelException) -> str:
    """One line for a client of the server."""
    if isinstance(error, MONAILabelException):
        return str(error.msg)
    if isinstance(error, NotTrainedError):
        return f"{error}: run the trainer `ensemble`"
    return str(error)


async def _answer_product_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    assert isinstance(error, ProductError)
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    message = message_of(error)
    detail = {"message": message, **error.facts} if isinstance(error, ConflictError) else message
    return JSONResponse({"detail": detail}, status)


async def _answer_monai_label_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    assert isinstance(error, MONAILabelException)
    not_found = isinstance(error, ImageNotFoundException | LabelNotFoundException) or error.error in _UNKNOWN_NAME
    return JSONResponse({"detail": message_of(error)}, 404 if not_found else 500)


async def _answer_full_disk(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    if not is_disk_full(error):
        raise error
    return JSONResponse({"detail": f"{error}: free some space on the server"}, STATUSES[StorageError])
