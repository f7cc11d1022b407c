"""Colours in CIELab, against what scikit-image 0.26 gives for them (`skimage.color.rgb2lab`)."""

import numpy as np
import pytest
from highdicom.color import CIELabColor

from lib.dicom.cielab import cielab


@pytest.mark.parametrize(
    ("colour", "expected", "in_dicom"),
    [
        ((230, 159, 0), (70.610561, 16.476817, 74.676357), [46274, 37130, 52087]),
        ((86, 180, 233), (69.824499, -12.028355, -34.761557), [45759, 29804, 23962]),
        ((0, 158, 115), (57.741264, -45.744676, 12.761064), [37840, 21139, 36175]),
        ((240, 228, 66), (89.115117, -13.325435, 75.454341), [58401, 29471, 52287]),
        ((204, 121, 167), (61.049393, 38.525985, -10.593757), [40008, 42797, 30173]),
        ((213, 94, 0), (54.191941, 43.267119, 63.276025), [35514, 44015, 49157]),
        ((0, 114, 178), (45.970561, -2.745743, -41.363965), [30126, 32190, 22265]),
        ((255, 0, 0), (53.240588, 80.092308, 67.202751), [34891, 53479, 50167]),
        ((0, 0, 255), (32.295673, 79.185591, -107.8573), [21164, 53246, 5176]),
        ((0, 0, 0), (0, 0, 0), [0, 32896, 32896]),
        ((255, 255, 255), (100, -0.002455, 0.004653), [65535, 32895, 32897]),
        ((1, 2, 3), (0.509825, -0.12249, -0.470496), [334, 32864, 32775]),
        ((10, 10, 10), (2.741735, -0.000174, 0.00033), [1796, 32895, 32896]),
    ],
)
def test_colours_are_those_of_scikit_image(
    colour: tuple[int, int, int], expected: tuple[float, float, float], in_dicom: list[int]
) -> None:
    np.testing.assert_allclose(cielab(colour), expected, rtol=0, atol=1e-6)
    assert list(CIELabColor(*cielab(colour)).value) == in_dicom
