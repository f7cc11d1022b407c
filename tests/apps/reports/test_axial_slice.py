import matplotlib.colors
import numpy as np
from matplotlib.figure import Figure

from apps.calibrated_ensemble.reports.axial_slice import AxialSlice
from apps.calibrated_ensemble.reports.class_colours import label_colours
from lib.images.volume import Volume
from lib.task.task_file import task_from


def test_outlines_have_the_colours_that_viewers_show_for_the_classes() -> None:
    labels = {"five": 5, "two": 2, "nine": 9}
    task = task_from({"name": "three", "modality": "CT", "labels": labels}, where="test")
    segmentation = np.zeros((30, 20, 1), np.uint8)
    for index in range(1, 4):
        segmentation[2 + 8 * index : 6 + 8 * index - 2, 5:15] = index
    axis = Figure().subplots()
    slice_ = AxialSlice(Volume(np.zeros(segmentation.shape, np.float32), np.eye(4)), segmentation > 0)
    slice_.outlines(axis, segmentation, style="solid")
    drawn = [matplotlib.colors.to_rgb(outline.get_edgecolor()[0]) for outline in axis.collections]
    np.testing.assert_allclose(np.array(drawn) * 255, list(label_colours(task).values()))
