"""Keys of members: what they depend on."""

from typing import Any

from lib.storage.digest import digest_settings


def chain_keys(base: str, parts: list[Any]) -> list[str]:
    """Give one key per part, each of which depends on all parts up to its own."""
    keys = []
    for part in parts:
        base = digest_settings([base, part])
        keys.append(base)
    return keys


LossWeight = tuple[float, ...]
"""One number per class; negative is sensitive, positive precise."""


def _seed(key: str) -> int:
    return int(key[:8], 16) % 2**31


RECIPE = 1
"""Raised when the same scans and settings give other networks, evaluations or fits, so that these are made again."""
