"""A picture of scans with prediction, heatmap and what is known to be true."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.atomic import atomic_path
from lib.volume import Volume

mpl.use("Agg")

_CLASS_COLOURS = ("#ffd400", "#00c8ff", "#ff4fa3", "#7cff4f")


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
        InputError: the file cannot be written.
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


class AxialSlice:
    """Draws the axial slice in which a heatmap holds most, seen from the feet.

    Args:
        scan: gives the grid of all arrays.
        heatmap: shape (x, y, z).
    """

    def __init__(self, scan: Volume, heatmap: np.ndarray):
        self._turn = nib.orientations.io_orientation(scan.affine)
        turned = self._ras(heatmap)
        self._z = int(turned.sum(axis=(0, 1)).argmax()) if turned.any() else turned.shape[2] // 2
        spacing = np.zeros(3)
        spacing[self._turn[:, 0].astype(int)] = scan.spacing
        self._aspect = float(spacing[1] / spacing[0])

    def grey(self, axis: Axes, scan: np.ndarray) -> None:
        """Draw grey values, without ticks."""
        low, high = np.percentile(scan, (0.5, 99.9))
        axis.set_axis_off()
        axis.imshow(self._cut(scan), origin="lower", aspect=self._aspect, cmap="gray", vmin=low, vmax=high)

    def overlay(self, axis: Axes, probability: np.ndarray) -> "mpl.image.AxesImage":
        """Draw probabilities, 0..1, over what is there; those below 2 % stay clear."""
        cut = self._cut(probability)
        return axis.imshow(
            np.ma.masked_less(cut, 0.02),
            origin="lower",
            aspect=self._aspect,
            cmap="inferno",
            vmin=0,
            vmax=1,
            alpha=0.85,
            interpolation="nearest",
        )

    def outlines(self, axis: Axes, segmentation: np.ndarray, *, style: str) -> None:
        """Draw the border of each class of class indices."""
        for index in range(1, int(segmentation.max()) + 1):
            self._outline(axis, segmentation == index, _CLASS_COLOURS[(index - 1) % len(_CLASS_COLOURS)], style)

    def _outline(self, axis: Axes, mask: np.ndarray, colour: str, style: str) -> None:
        cut = self._cut(mask.astype(np.float32))
        if min(cut.shape) > 1 and cut.any() and not cut.all():
            axis.contour(cut, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.6)

    def _cut(self, array: np.ndarray) -> np.ndarray:
        # Seen from the feet: the patient's left is on the right of the picture.
        return self._ras(array)[::-1, :, self._z].T

    def _ras(self, array: np.ndarray) -> np.ndarray:
        return nib.orientations.apply_orientation(array, self._turn)
