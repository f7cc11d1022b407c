import itertools
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lib.quality.uncertain_regions import HIGHEST, LOWEST, uncertain_regions

SPACING = (0.5, 2.0, 3.0)
AFFINE = np.diag([*SPACING, 1.0])


def regions_by_flooding(h: np.ndarray) -> list[set[tuple[int, ...]]]:
    """Connected regions of uncertain voxels, by a plain search over 26 neighbours."""
    left = {tuple(voxel) for voxel in np.argwhere((h >= LOWEST) & (h <= HIGHEST)).tolist()}
    found = []
    while left:
        queue = deque([left.pop()])
        region = set(queue)
        while queue:
            here = queue.popleft()
            for step in itertools.product((-1, 0, 1), repeat=3):
                there = tuple(a + b for a, b in zip(here, step, strict=True))
                if there in left:
                    left.remove(there)
                    region.add(there)
                    queue.append(there)
        found.append(region)
    return found


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float32, array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.sampled_from([0, 0.25, 0.75, 1]))
)
def test_regions_volumes_and_order_are_those_of_a_plain_search(h: np.ndarray) -> None:
    places = uncertain_regions(h[None], classes=["organ"], affine=AFFINE, limit=1000)
    voxel_volume = np.prod(SPACING)
    expected = {}
    for region in regions_by_flooding(h):
        values = [float(h[voxel]) for voxel in region]
        error = sum(min(value, 1 - value) for value in values) * voxel_volume
        expected[frozenset(region)] = (len(region) * voxel_volume, np.mean(values), error)
    assert len(places) == len(expected)
    for place in places:
        ((volume, mean, error),) = [figures for region, figures in expected.items() if place.voxel in region]
        assert place.volume_mm3 == pytest.approx(volume)
        assert place.mean_probability == pytest.approx(mean)
        assert place.expected_error_mm3 == pytest.approx(error)
    errors = [place.expected_error_mm3 for place in places]
    assert errors == sorted(errors, reverse=True)


def test_a_scan_without_doubt_has_no_places() -> None:
    h = np.zeros((2, 4, 4, 4), np.float32)
    h[1, 1:3] = 1.0
    assert uncertain_regions(h, classes=["a", "b"], affine=AFFINE) == []


def test_the_place_is_a_voxel_of_the_region_even_where_its_centre_is_outside() -> None:
    h = np.zeros((1, 5, 5, 1), np.float32)
    h[0, :, :, 0] = 0.5
    h[0, 1:4, 1:4, 0] = 1.0
    (place,) = uncertain_regions(h, classes=["ring"], affine=AFFINE)
    assert h[(0, *place.voxel)] == 0.5


def test_places_of_all_classes_are_ranked_together_and_cut_off() -> None:
    h = np.zeros((2, 9, 3, 3), np.float32)
    h[0, 0, 0, 0] = h[0, 4:6, 0, 0] = 0.5
    h[1, 7, 2, 2] = 0.5
    h[1, 0:3, 2, 2] = 0.5
    places = uncertain_regions(h, classes=["a", "b"], affine=AFFINE)
    assert [(place.class_name, round(place.volume_mm3)) for place in places] == [("b", 9), ("a", 6), ("a", 3), ("b", 3)]
    assert uncertain_regions(h, classes=["a", "b"], affine=AFFINE, limit=2) == places[:2]


def test_one_voxel_is_a_place() -> None:
    (place,) = uncertain_regions(np.full((1, 1, 1, 1), 0.5, np.float32), classes=["a"], affine=AFFINE)
    assert place.voxel == (0, 0, 0)
    assert place.volume_mm3 == pytest.approx(3.0)


@pytest.mark.parametrize("shape", [(1, 2, 2, 2), (2, 2, 2)])
def test_a_heatmap_that_does_not_fit_the_classes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="heatmap: has shape"):
        uncertain_regions(np.zeros(shape, np.float32), classes=["a", "b"], affine=AFFINE)
