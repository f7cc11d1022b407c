"""Why a generation is not served though it is complete: the gate refused it, or a person went back behind it."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from lib.errors import DamagedGenerationError
from lib.models.generation import Generation
from lib.storage.atomic import write_text

_FILE = "held_back.json"


class HeldBackBy(StrEnum):
    """Who decided that a generation is not served."""

    GATE = "gate"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class HeldBack:
    """A decision not to serve a generation.

    Attributes:
        by: who decided.
        reasons: one line each.
        time: when, ISO 8601 in UTC.
    """

    by: HeldBackBy
    reasons: tuple[str, ...]
    time: str


def hold_back(generation: Generation, by: HeldBackBy, reasons: tuple[str, ...]) -> HeldBack:
    """Keep a generation from being served until `release`.

    It is written beside the published files, which stay as they are.

    Raises:
        StorageError: the folder cannot be written to.
    """
    decision = HeldBack(by, reasons, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    write_text(generation.path / _FILE, json.dumps(asdict(decision), indent=1))
    return decision


def read_held_back(generation: Generation) -> HeldBack | None:
    """Give the decision that stands, None where the generation may be served.

    Raises:
        DamagedGenerationError: the file is unreadable.
    """
    path = generation.path / _FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return HeldBack(HeldBackBy(stored["by"]), tuple(map(str, stored["reasons"])), str(stored["time"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedGenerationError(
            f"{path}: cannot be read ({error}); remove it to let the generation be served"
        ) from error


def release(generation: Generation) -> None:
    """Let a generation be served again; nothing happens where it may be already."""
    (generation.path / _FILE).unlink(missing_ok=True)
