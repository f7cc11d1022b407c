"""A picture of scans with prediction, heatmap and what is known to be true."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from apps.calibrated_ensemble.reports.axial_slice import AxialSlice
from lib.images.volume import Volume
from lib.storage.atomic import atomic_path

mpl.use("Agg")


@dataclass(frozen=True)
class Panels:
    """A row of the picture.

    Attributes:
        title: such as "phantom_007: estimated DSC 63 %, true 58 %".
        scan: grey values.
        segmentation: class indices on the grid of the scan.
        heatmap: probability of any foreground class on that grid, 0..1.
        label: class indices of the truth; None when it is not known.
        posterior: true probability of any foreground class, 0..1; None when it is not known.
    """

    title: str
    scan: Volume
    segmentation: np.ndarray
    heatmap: np.ndarray
    label: np.ndarray | None = None
    posterior: np.ndarray | None = None


def draw_picture(path: Path, rows: Sequence[Panels]) -> None:
    """Write a PNG: for each row the scan with prediction and truth, the heatmap and the true probability.

    Each row shows the axial slice in which the heatmap holds most, seen from the feet as
    radiologists do, with the voxels' true proportions.

    Raises:
        StorageError: the file cannot be written.
    """
    columns = 3 if any(row.posterior is not None for row in rows) else 2
    figure = Figure(figsize=(4.2 * columns, 4.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    image = None
    for axes, row in zip(grid, rows, strict=True):
        show = AxialSlice(row.scan, row.heatmap)
        for axis in axes:
            show.grey(axis, row.scan.array)
        axes[0].set_title(row.title, fontsize=11)
        show.outlines(axes[0], row.segmentation, style="solid")
        if row.label is not None:
            show.outlines(axes[0], row.label, style="dashed")
        image = show.overlay(axes[1], row.heatmap)
        axes[1].set_title("heatmap: calibrated probability", fontsize=11)
        if row.posterior is not None:
            show.overlay(axes[2], row.posterior)
            axes[2].set_title("true probability", fontsize=11)
    if image is not None:
        figure.colorbar(image, ax=grid[:, 1:].tolist()[0] if len(rows) == 1 else grid[:, 1:], shrink=0.8)
    known = any(row.label is not None for row in rows)
    figure.supxlabel("prediction: solid line" + (", label: dashed line" if known else ""), fontsize=10)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
