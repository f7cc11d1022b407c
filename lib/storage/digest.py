"""Names for contents: equal digests mean equal contents."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_settings(value: Any) -> str:
    """SHA-256 of a JSON value, in hexadecimal; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_chain(base: str, parts: Sequence[Any]) -> tuple[str, ...]:
    """Give one digest per part, each of which depends on the base and on all parts up to its own."""
    digests = []
    for part in parts:
        base = digest_settings([base, part])
        digests.append(base)
    return tuple(digests)


def digest_seed(digest: str) -> int:
    """Seed for random numbers that follows from a digest, 0..2**31 - 1."""
    return int(digest[:8], 16) % 2**31
