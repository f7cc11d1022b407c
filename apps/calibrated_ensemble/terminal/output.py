"""Results on the standard output, everything else on the standard error."""

import json
import logging
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

# Names of scans and classes are shown as they are: brackets are no markup in them, colons no emoji.
messages = Console(stderr=True, markup=False, emoji=False)
"""Progress, warnings and remarks."""


def show_warnings() -> None:
    """Let warnings of the method reach the person, above the progress bars."""
    handler = RichHandler(console=messages, show_time=False, show_path=False, show_level=True)
    for name in ("lib", "scoring", "apps"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False


def print_json(result: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(result, indent=1, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are figures."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, emoji=False).print(table)


def percent(fraction: float | None) -> str:
    """A fraction of 1 for a person, such as 87.3; a dash when there is none."""
    return "-" if fraction is None else f"{100 * fraction:.1f}"
