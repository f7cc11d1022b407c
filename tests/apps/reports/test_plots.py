"""Figures of what is there, also where that is next to nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.calibrated_ensemble.reports.plots import draw_calibration_curves, draw_estimates, draw_heatmaps
from lib.errors import StorageError
from lib.evaluation.scan_statistics import ShownSlice
from lib.images.volume import Volume


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


def curves(points: list[list[float]]) -> dict[str, object]:
    return {"curve": points, "parzen_curve": points, "ece": {"value": 0.1 if points else None}}


def test_every_class_and_heatmap_has_a_panel_even_without_voxels(tmp_path: Path) -> None:
    some, none = curves([[0.1, 0.2, 30.0], [0.9, 0.8, 10.0]]), curves([])
    draw_calibration_curves(tmp_path / "one.png", {"votes": {"a": some}}, ["a"])
    draw_calibration_curves(tmp_path / "six.png", {name: {"a": some, "b": none} for name in "xyz"}, ["a", "b"])
    (width, height), (wide, high) = size_of(tmp_path / "one.png"), size_of(tmp_path / "six.png")
    assert (wide, high) == (4 * width, 2 * height)


def test_estimates_that_are_not_known_leave_their_panel_empty(tmp_path: Path) -> None:
    true = np.array([[0.5], [0.9]])
    draw_estimates(
        tmp_path / "e.png",
        {"votes": true, "constant": true * np.nan},
        dict.fromkeys(("votes", "constant"), true),
        ["a"],
    )
    size_of(tmp_path / "e.png")


@pytest.mark.parametrize("shape", [(20, 16, 1), (1, 16, 1), (20, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("filled", [0, 1])
def test_slices_of_any_shape_are_drawn(tmp_path: Path, shape: tuple[int, int, int], filled: int) -> None:
    label = np.full(shape, filled, np.uint8)
    label[0, 0, 0] = 1 - filled
    heatmaps = {"votes": label.astype(np.float32), "softmax": np.full(shape, 0.5, np.float32)}
    shown = ShownSlice(Volume(np.zeros(shape, np.float32), np.diag([1.0, 1, 5, 1])), label, label, heatmaps)
    draw_heatmaps(tmp_path / "h.png", {"a scan": shown})
    width, height = size_of(tmp_path / "h.png")
    assert height == 3 * width


def test_heatmaps_that_look_the_same_share_a_row(tmp_path: Path) -> None:
    shape = (20, 16, 1)
    rng = np.random.default_rng(0)
    first = rng.random(shape).astype(np.float32)
    heatmaps = {"a": first, "b": first * 0.99, "c": 1 - first, "d": first}
    label = np.zeros(shape, np.uint8)
    shown = ShownSlice(Volume(first, np.eye(4)), label, label, heatmaps)
    draw_heatmaps(tmp_path / "h.png", {"a scan": shown})
    width, height = size_of(tmp_path / "h.png")
    assert height == 3 * width


def test_a_figure_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"c\.png"):
        draw_calibration_curves(tmp_path / "file" / "c.png", {"votes": {"a": curves([])}}, ["a"])
