"""The axial slice in which a heatmap holds most, drawn."""

import matplotlib as mpl
import nibabel as nib
import numpy as np
from matplotlib.axes import Axes

from apps.calibrated_ensemble.reports.class_colours import class_colour
from lib.images.volume import Volume


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
        """Draw the border of each class of class indices, in its colour."""
        for index in range(1, int(segmentation.max()) + 1):
            red, green, blue = class_colour(index)
            self._outline(axis, segmentation == index, (red / 255, green / 255, blue / 255), style)

    def _outline(self, axis: Axes, mask: np.ndarray, colour: tuple[float, float, float], style: str) -> None:
        cut = self._cut(mask.astype(np.float32))
        if min(cut.shape) > 1 and cut.any() and not cut.all():
            axis.contour(cut, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.6)

    def _cut(self, array: np.ndarray) -> np.ndarray:
        # Seen from the feet: the patient's left is on the right of the picture.
        return self._ras(array)[::-1, :, self._z].T

    def _ras(self, array: np.ndarray) -> np.ndarray:
        return nib.orientations.apply_orientation(array, self._turn)
