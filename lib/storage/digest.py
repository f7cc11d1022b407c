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


def file_stamp(path: Path) -> str:
    """What changes whenever a file, or any file in a folder, is written or replaced; nothing is read for it.

    An equal stamp means that the content is the same; another one that it may have changed, and only
    `digest_file` tells. The time of change is among it, which no program that copies can set back.
    "absent" where nothing is there.
    """
    path = Path(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        found = [(file.relative_to(path).as_posix(), file.stat()) for file in files]
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    states = [[name, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino] for name, one in found]
    return digest_settings(states)[:40]


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
