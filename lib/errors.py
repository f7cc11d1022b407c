"""Errors whose message a person can act on: each class says whose they are, and nothing of command line or HTTP.

Every message is one line: where (file or key), what was found, and what would be right.
"""

from collections.abc import Mapping
from typing import Any


class ProductError(RuntimeError):
    """What is foreseen to go wrong; the classes below say where.

    A message may quote what stands in a file: what cannot be printed is shown by its number.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return "".join(one if one.isprintable() or one.isspace() else ascii(one)[1:-1] for one in text)


class InputError(ProductError, ValueError):
    """Something that a person gave is wrong: a file, a setting, a folder."""


class ConflictError(ProductError):
    """What was sent is right, but something else came in between: both are kept, and who sent it chooses.

    Args:
        message: one line.
        facts: what a program needs to know for the choice; values that JSON has.
    """

    def __init__(self, message: str, facts: Mapping[str, Any]):
        super().__init__(message)
        self.facts = dict(facts)


class NotTrainedError(ProductError):
    """A prediction or a ranking was asked for before the first generation was published.

    It is no `InputError`: nothing that was given is wrong, and what goes on past wrong input must not go on past this.
    """


class BusyError(ProductError):
    """Another run holds what this one needs, or changes it meanwhile; the same request will do later."""


class StorageError(ProductError):
    """A file cannot be written or read for a reason that lies with the disk, not with what is in the file."""


class DatabaseError(StorageError):
    """The database cannot be used: locked, full, damaged or down."""


class UnreachableError(ProductError):
    """A server that is needed, such as a PACS, does not answer; nothing is known to be wrong with what it holds."""


class DamagedGenerationError(ProductError):
    """A stored generation does not match its manifest."""
