"""What no route has to expect: control characters in an address, and JSON that cannot be stored or sent back."""

import json
import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi.responses import JSONResponse

from apps.calibrated_ensemble.http_errors import STATUSES
from apps.calibrated_ensemble.plain_text import is_one_line
from lib.errors import InputError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_DEEPEST = 32
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


class PlainAddresses:
    """Refuses requests whose path or query holds what no name does: control characters, line ends, turned text.

    Args:
        app: is asked what is not refused.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 422, or pass the request on."""
        if scope["type"] == "http" and not _is_plain(scope):
            refusal = JSONResponse(
                {"detail": "The address holds a control character; give names of one line"}, STATUSES[InputError]
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def json_object(text: str, *, where: str) -> dict[str, Any]:
    """Read a JSON object that a client sent as text; nothing is an empty one.

    Args:
        text: JSON.
        where: the form's field, for messages.

    Raises:
        InputError: it is no JSON, no object, or see `check_json`.
    """
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON ({error}); give an object such as {{}}") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: is a JSON {type(value).__name__}; give an object such as {{}}")
    check_json(value, where=where)
    return value


def check_json(value: Any, *, where: str) -> None:
    """Check that a value which was read from JSON can be stored and sent back.

    Args:
        value: of dictionaries, lists, texts, numbers, booleans and None.
        where: the form's field, for messages.

    Raises:
        InputError: it holds half a character, NUL or a number that is not finite, or is nested too deep.
    """
    level = [value]
    for _ in range(_DEEPEST):
        texts = [one for one in level if isinstance(one, str)]
        texts += [key for one in level if isinstance(one, dict) for key in one]
        if any(_NO_TEXT.search(text) for text in texts):
            raise InputError(f"{where}: holds NUL or half a character; give text that can be written in UTF-8")
        if any(isinstance(one, float) and not math.isfinite(one) for one in level):
            raise InputError(f"{where}: holds a number that is not finite; leave it out, or give null")
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return
    raise InputError(f"{where}: is nested more than {_DEEPEST} deep; give a flatter object")


def _inside(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _is_plain(scope: Scope) -> bool:
    query = scope["query_string"].decode("latin-1")
    return is_one_line(scope["path"]) and all(
        is_one_line(part) for pair in parse_qsl(query, keep_blank_values=True) for part in pair
    )
