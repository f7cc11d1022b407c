"""The experiments' figures as Markdown."""

from collections.abc import Mapping
from typing import Any

from apps.calibrated_ensemble.reports.html_report import verdict

_HEATMAP_COLUMNS = (("ECE %", "ece", 100), ("Brier %", "brier", 100))
_ESTIMATE_COLUMNS = (
    ("MAE", "mae", 100),
    ("bias", "bias", 100),
    ("Spearman", "spearman", 1),
    ("AURC %", "aurc", 100),
    ("coverage %", "interval_coverage", 100),
)
"""Columns: heading, key in `metrics.json`, factor."""

_BETTER = {"spearman": "high", "bias": "", "interval_coverage": ""}
_MARKS = {"better": " ▲", "worse": " ▼", "": ""}


def tables(name: str, condition: str, metrics: Mapping[str, Any]) -> str:
    """Make one table for each class.

    Args:
        name: of the experiment.
        condition: clean or corrupted.
        metrics: as in `metrics.json`.

    Returns:
        Markdown. Brackets hold 95 % intervals; a triangle marks a figure that is better or worse than
        that of the served heatmap in the whole interval of the paired difference, all others are ties.
    """
    parts = []
    for label in metrics["classes"]:
        dice = metrics["dice"][label]
        parts.append(
            f"**{name}, {condition}, {label}**: {metrics['scans']} scans, "
            f"DSC {_cell(dice['mean'], 100)} %, SD {_cell(dice['sd'], 100)}{_baselines(metrics, label)}\n"
        )
        headings = [heading for heading, _, _ in (*_HEATMAP_COLUMNS, *_ESTIMATE_COLUMNS)]
        parts.append(f"| | {' | '.join(headings)} | s/scan |\n|---{'|---:' * (len(headings) + 1)}|")
        parts += [_row(metrics, row, label) for row in metrics["estimates"]]
        parts.append("")
    return "\n".join(parts)


def _baselines(metrics: Mapping[str, Any], label: str) -> str:
    predictions = list(metrics["predictions"].items())[1:]
    return "".join(f"; {method} {_cell(by_class[label]['mean'], 100)}" for method, by_class in predictions)


def _row(metrics: Mapping[str, Any], name: str, label: str) -> str:
    cells = [
        *_cells(metrics, "heatmaps", name, label, _HEATMAP_COLUMNS),
        *_cells(metrics, "estimates", name, label, _ESTIMATE_COLUMNS),
    ]
    seconds = metrics["seconds_per_scan"].get(name)
    cells.append("" if seconds is None or seconds["value"] is None else f"{seconds['value']:.2f}")
    title = f"**{name}** (served)" if name == metrics["default_heatmap"] else name
    return f"| {title} | {' | '.join(cells)} |"


def _cells(
    metrics: Mapping[str, Any], section: str, name: str, label: str, columns: tuple[tuple[str, str, int], ...]
) -> list[str]:
    if name not in metrics[section]:
        return [""] * len(columns)
    differences = metrics["differences"][section].get(name, {}).get(label)
    cells = []
    for _, key, factor in columns:
        mark = "" if differences is None else _MARKS[verdict(differences[key], _BETTER.get(key, "low"))]
        cells.append(_cell(metrics[section][name][label][key], factor) + mark)
    return cells


def _cell(figure: Mapping[str, float | None], factor: int) -> str:
    """Such as `3.1 [2.5, 3.9]`; the value alone where there is no interval, and a dash where there is no value."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    digits = 1 if factor == 100 else 2
    if low is None or high is None:
        return f"{factor * value:.{digits}f}"
    return f"{factor * value:.{digits}f} [{factor * low:.{digits}f}, {factor * high:.{digits}f}]"
