"""What a client reads when something goes wrong: a status and one line, never a stack trace."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)

from lib.errors import DamagedGenerationError, InputError, NotTrainedError, UnreachableError

logger = logging.getLogger(__name__)

NOT_TRAINED = 409
WRONG_INPUT = 422
UNREACHABLE = 503

# MONAI Label reports a model, trainer or strategy of an unknown name by these.
_UNKNOWN_NAME = frozenset({MONAILabelError.INVALID_INPUT, MONAILabelError.APP_INIT_ERROR})


@contextmanager
def clear_answers() -> Iterator[None]:
    """Turn errors that a person can act on into HTTP answers whose `detail` is their message.

    Raises:
        HTTPException: 409 before the first generation, 422 for wrong input, 404 for an unknown
            scan, label, model, trainer or strategy, 500 for a damaged generation, 503 while the
            PACS does not answer.
    """
    try:
        yield
    except NotTrainedError as error:
        raise HTTPException(NOT_TRAINED, str(error)) from error
    except InputError as error:
        raise HTTPException(WRONG_INPUT, str(error)) from error
    except DamagedGenerationError as error:
        raise HTTPException(500, str(error)) from error
    except UnreachableError as error:
        raise HTTPException(UNREACHABLE, str(error)) from error
    except MONAILabelException as error:
        not_found = isinstance(error, ImageNotFoundException | LabelNotFoundException)
        raise HTTPException(404 if not_found or error.error in _UNKNOWN_NAME else 500, error.msg) from error


@contextmanager
def one_line_failure() -> Iterator[None]:
    """End a background process with one line in its log, which `GET /train/` and the like show.

    Raises:
        SystemExit: status 2 after an error that a person can act on; others pass.
    """
    try:
        with clear_answers():
            yield
    except HTTPException as error:
        logger.error("%s", error.detail)
        raise SystemExit(2) from error
