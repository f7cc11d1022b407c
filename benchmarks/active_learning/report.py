"""Tables and the figure of what a simulation found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Drawing
from rich.console import Console
from rich.table import Table as TerminalTable

from lib.metrics.bootstrap import Figure
from lib.storage.atomic import atomic_path, write_text

mpl.use("Agg")

_CHOICE = (
    ("true DSC % of the chosen", "chosen_true_dsc", 100),
    ("of all", "all_true_dsc", 100),
    ("estimated DSC % of the chosen", "chosen_estimated_dsc", 100),
    ("of all", "all_estimated_dsc", 100),
    ("Spearman of the two", "rank_correlation", 1),
    ("volume quantile of the chosen", "volume_quantile", 1),
    ("distance to a labelled scan of the chosen", "chosen_distance", 1),
    ("of all", "all_distance", 1),
    ("between the chosen", "mutual_distance", 1),
)
"""Columns of the table of choices: heading, key in `results.json`, factor."""


@dataclass(frozen=True)
class Table:
    """A table: its title, the names of its columns, and its rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(results: Mapping[str, Any], training: str) -> list[Table]:
    """Make the tables of test DSC, of differences to random choice, and of choices.

    Args:
        results: from `summarise`.
        training: how the models were trained.
    """
    strategies = results["strategies"]
    scope = (
        f"{results['test_scans']} test scans, {len(results['seeds'])} seeds, {training}; "
        "95 % intervals, which few seeds make too narrow"
    )
    counts = tuple(f"{count} labels" for count in results["labelled"])
    made = [
        Table(
            f"Test DSC %, {scope}",
            ("strategy", *counts, "along the curve"),
            tuple(
                (name, *(_interval(figure) for figure in (*found["dsc"], found["area"])))
                for name, found in strategies.items()
            ),
        )
    ]
    compared = {name: found for name, found in strategies.items() if found["difference"] is not None}
    if compared:
        made.append(
            Table(
                f"Points of DSC above random choice, paired, {scope}",
                ("strategy", *counts, "along the curve", "of each seed"),
                tuple(
                    (
                        name,
                        *(_interval(figure, "+") for figure in (*found["difference"], found["area_difference"])),
                        ", ".join(f"{100 * value:+.1f}" for value in found["by_seed"]),
                    )
                    for name, found in compared.items()
                ),
            )
        )
    made.append(
        Table(
            "What was chosen, beside all unlabelled scans; mean over rounds and seeds, distances in features",
            ("strategy", *(heading for heading, _, _ in _CHOICE)),
            tuple(
                (name, *(_number(found["choice"][key], factor) for _, key, factor in _CHOICE))
                for name, found in strategies.items()
            ),
        )
    )
    return made


def print_tables(made: Sequence[Table], console: Console) -> None:
    """Print tables."""
    for table in made:
        shown = TerminalTable(title=table.title, title_justify="left")
        for number, column in enumerate(table.columns):
            shown.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def write_tables(path: Path, made: Sequence[Table]) -> None:
    """Write tables as Markdown.

    Raises:
        StorageError: the file cannot be written.
    """
    parts = []
    for table in made:
        rule = ("---", *("---:" for _ in table.columns[1:]))
        lines = (f"| {' | '.join(row)} |\n" for row in (table.columns, rule, *table.rows))
        parts.append(f"{table.title}\n\n{''.join(lines)}")
    write_text(path, "\n".join(parts))


def draw_curves(path: Path, results: Mapping[str, Any]) -> None:
    """Draw test DSC against the number of labels, and its difference to random choice, with intervals.

    Args:
        path: PNG file.
        results: from `summarise`.

    Raises:
        StorageError: the file cannot be written.
    """
    drawing = Drawing(figsize=(10, 4), layout="constrained")
    curves, differences = drawing.subplots(1, 2)
    counts = np.array(results["labelled"])
    step = (counts[1] - counts[0]) / 40
    for number, (name, found) in enumerate(results["strategies"].items()):
        for axis, figures in ((curves, found["dsc"]), (differences, found["difference"])):
            if figures is None:
                continue
            value, low, high = (
                100 * np.array([figure[key] for figure in figures], float) for key in ("value", "low", "high")
            )
            # Side by side, so that no interval hides another.
            axis.errorbar(
                counts + number * step,
                value,
                yerr=(value - low, high - value),
                label=name,
                color=f"C{number}",
                marker="o",
                markersize=4,
                capsize=2,
            )
    differences.axhline(0, color="0.7", linewidth=1)
    curves.set_title("mean over test scans and classes, 95 % intervals", fontsize=9)
    curves.set(xlabel="labelled scans", ylabel="test DSC, %", xticks=counts)
    differences.set_title("above random choice, paired", fontsize=9)
    differences.set(xlabel="labelled scans", ylabel="points of DSC", xticks=counts)
    curves.legend(fontsize=8)
    with atomic_path(path) as temporary:
        drawing.savefig(temporary, format="png", dpi=110)


def _interval(figure: Figure, sign: str = "") -> str:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{100 * value:{sign}.1f}"
    return f"{100 * value:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _number(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{factor * value:.{1 if factor == 100 else 2}f}"
