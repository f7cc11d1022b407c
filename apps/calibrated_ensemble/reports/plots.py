"""The figures of the paper: calibration curves, estimated against true DSC, and heatmaps beside the scan."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from apps.calibrated_ensemble.reports.axial_slice import AxialSlice
from lib.evaluation.scan_statistics import ShownSlice
from lib.storage.atomic import atomic_path

mpl.use("Agg")

_COLUMNS = 4
_SIDE = 3.2
# A difference of probability that no eye finds in the colours.
_SEEN = 0.02


def draw_calibration_curves(path: Path, heatmaps: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Draw for each class and heatmap how often voxels of a probability are foreground.

    The line is the curve by Parzen windows, the dots are bins of equally many voxels.

    Args:
        path: PNG file.
        heatmaps: `heatmaps` of `metrics.json`.
        classes: names of the classes.

    Raises:
        StorageError: the file cannot be written.
    """
    drawn, panels = _panels(len(heatmaps) * len(classes))
    names = [(label, name) for label in classes for name in heatmaps]
    for axis, (label, name) in zip(panels, names, strict=True):
        figures = heatmaps[name][label]
        _square(axis, f"{name}, {label}", "probability in the heatmap", "share labelled")
        line, dots = (np.array(figures[curve]).reshape(-1, 3) for curve in ("parzen_curve", "curve"))
        axis.plot(line[:, 0], line[:, 1], color="C0")
        axis.plot(dots[:, 0], dots[:, 1], "o", color="C0", markersize=4)
        if figures["ece"]["value"] is not None:
            axis.text(0.05, 0.9, f"ECE {100 * figures['ece']['value']:.1f} %", fontsize=9)
    _write(path, drawn)


def draw_estimates(
    path: Path, estimated: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray], classes: Sequence[str]
) -> None:
    """Draw the estimated against the true DSC, a dot for each scan.

    Args:
        path: PNG file.
        estimated: 0..1, by estimator, shape (S, C).
        true: of the prediction that the estimator judges, 0..1, by estimator, shape (S, C).
        classes: names of the classes.

    Raises:
        StorageError: the file cannot be written.
    """
    drawn, panels = _panels(len(estimated) * len(classes))
    names = [(number, name) for number in range(len(classes)) for name in estimated]
    for axis, (number, name) in zip(panels, names, strict=True):
        _square(axis, f"{name}, {classes[number]}", "estimated DSC", "true DSC")
        axis.plot(estimated[name][:, number], true[name][:, number], "o", color="C0", markersize=4, alpha=0.6)
    _write(path, drawn)


def draw_heatmaps(path: Path, scans: Mapping[str, ShownSlice]) -> None:
    """Draw for each scan, a column, the prediction and the label, and below them every heatmap.

    Heatmaps that nobody could tell apart share a row.

    Args:
        path: PNG file.
        scans: at least one, by title.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = _distinct(list(scans.values()))
    figure = Figure(figsize=(_SIDE * len(scans), _SIDE * (1 + len(rows))), layout="constrained")
    axes = figure.subplots(1 + len(rows), len(scans), squeeze=False)
    for column, (title, shown) in zip(axes.T, scans.items(), strict=True):
        show = AxialSlice(shown.scan, next(iter(shown.heatmaps.values())))
        show.grey(column[0], shown.scan.array)
        show.outlines(column[0], shown.segmentation, style="solid")
        show.outlines(column[0], shown.label, style="dashed")
        column[0].set_title(title, fontsize=9)
        for axis, alike in zip(column[1:], rows, strict=True):
            show.grey(axis, shown.scan.array)
            image = show.overlay(axis, shown.heatmaps[alike[0]])
            axis.set_title("\n".join(alike), fontsize=9)
    figure.colorbar(image, ax=axes[0], location="top", shrink=0.5, label="probability")
    _write(path, figure)


def _distinct(scans: Sequence[ShownSlice]) -> list[list[str]]:
    """Names of heatmaps, those together that differ nowhere by more than `_SEEN`."""
    rows: list[list[str]] = []
    for name in scans[0].heatmaps:
        for row in rows:
            if all(np.allclose(one.heatmaps[name], one.heatmaps[row[0]], rtol=0, atol=_SEEN) for one in scans):
                row.append(name)
                break
        else:
            rows.append([name])
    return rows


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, row by row."""
    columns = min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(_SIDE * columns, _SIDE * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def _square(axis: Axes, title: str, x: str, y: str) -> None:
    """Both axes from 0 to 1, with the diagonal of perfect agreement."""
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.tick_params(labelsize=7)


def _write(path: Path, figure: Figure) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
