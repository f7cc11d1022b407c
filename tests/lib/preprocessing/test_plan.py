"""The preprocessing plan."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.nets import SegResNetDS
from pydantic import ValidationError

from lib.errors import InputError
from lib.preprocessing.fingerprint import Fingerprint, ForegroundIntensities
from lib.preprocessing.patch_size import Shape, Spacing, patch_size, shape_factor
from lib.preprocessing.plan import FixedWindow, PerScan, Plan, make_plan, stage_patch_sizes, window_for
from lib.task.task import Task
from lib.task.task_file import task_from

_AXIS_SPACING = st.floats(0.3, 8.0).map(lambda value: round(value, 3))
_SPACINGS = st.tuples(_AXIS_SPACING, _AXIS_SPACING, _AXIS_SPACING)
_SIZE = st.integers(1, 300)
_SHAPES = st.tuples(_SIZE, _SIZE, _SIZE)
_FOREGROUND = ForegroundIntensities(low=-50, high=200, mean=60, sd=20)


def _task(**settings: object) -> Task:
    return task_from({"name": "t", "modality": "MR", "labels": {"a": 1}} | settings, where="test")


def _fingerprint(
    shape: Shape,
    spacing: Spacing,
    *,
    largest: Shape | None = None,
    modality: str = "MR",
    foreground: ForegroundIntensities | None = _FOREGROUND,
) -> Fingerprint:
    def extent(size: Shape) -> Spacing:
        x, y, z = ((n - 1) * step for n, step in zip(size, spacing, strict=True))
        return x, y, z

    return Fingerprint(
        modality=modality,
        scan_count=3,
        median_spacing=spacing,
        median_extent=extent(shape),
        largest_extent=extent(largest or shape),
        foreground=foreground,
        typical_volumes=(100.0,),
    )


def test_hippocampus_crops_get_the_patch_that_was_tuned_on_them() -> None:
    plan = make_plan(_task(preset="small"), _fingerprint((35, 50, 36), (1, 1, 1), largest=(43, 59, 47)))
    assert plan.shape_factor == (8, 8, 8)
    assert plan.patch_size == (32, 48, 32)
    assert plan.window_size == (48, 64, 48)
    assert stage_patch_sizes(plan) == ((16, 24, 32), (16, 32, 32), (24, 32, 32), (32, 48, 32))


def test_thick_slices_keep_their_few_slices_and_lose_extent_in_plane() -> None:
    plan = make_plan(_task(preset="small"), _fingerprint((128, 128, 11), (1.88, 1.88, 6.5), largest=(128, 128, 37)))
    assert plan.shape_factor == (8, 8, 4)
    assert plan.patch_size == (64, 64, 12)
    assert plan.window_size == (64, 64, 12)


def test_a_scan_that_fits_the_budget_is_covered_whole() -> None:
    plan = make_plan(_task(preset="paper"), _fingerprint((128, 128, 11), (1.88, 1.88, 6.5)))
    assert plan.patch_size == (128, 128, 12)


def test_a_fixed_spacing_takes_the_place_of_the_median() -> None:
    plan = make_plan(_task(spacing=[2, 2, 2], preset="paper"), _fingerprint((65, 65, 17), (1, 1, 4)))
    assert plan.spacing == (2, 2, 2)
    assert plan.patch_size == (40, 40, 40)


@pytest.mark.parametrize(("largest", "window"), [(48, 48), (49, 32), (33, 40), (20, 24), (32, 32)])
def test_the_window_covers_the_largest_scan_up_to_one_and_a_half_patches(largest: int, window: int) -> None:
    plan = make_plan(_task(), _fingerprint((32, 32, 32), (1, 1, 1), largest=(largest, 32, 32)))
    assert plan.patch_size == (32, 32, 32)
    assert plan.window_size == (window, 32, 32)


@given(spacing=_SPACINGS, stages=st.integers(2, 4))
@settings(max_examples=15, deadline=None)
def test_the_shape_factor_is_the_networks_own(spacing: Spacing, stages: int) -> None:
    network = SegResNetDS(spatial_dims=3, init_filters=2, blocks_down=(1,) * stages, dsdepth=1, resolution=spacing)
    assert list(shape_factor(spacing, stage_count=stages)) == [int(step) for step in network.shape_factor()]


def test_one_stage_needs_no_factor() -> None:
    assert shape_factor((1, 1, 5), stage_count=1) == (1, 1, 1)


@given(shape=_SHAPES, spacing=_SPACINGS, stages=st.integers(1, 5), budget=st.integers(512, 600_000))
@settings(deadline=None)
def test_patches_are_multiples_of_the_factor_within_the_budget(
    shape: Shape, spacing: Spacing, stages: int, budget: int
) -> None:
    factor = shape_factor(spacing, stage_count=stages)
    patch = patch_size(shape, spacing=spacing, factor=factor, budget=budget)
    counts = [size // step for size, step in zip(patch, factor, strict=True)]
    assert all(size % step == 0 for size, step in zip(patch, factor, strict=True))
    assert math.prod(counts) >= 2
    assert math.prod(patch) <= budget or math.prod(counts) == 2
    # No axis grows beyond the scan by a whole factor, apart from the second voxel that the norm needs.
    assert all(size < n + step for size, n, step in zip(patch, shape, factor, strict=True)) or math.prod(counts) == 2


@given(shape=_SHAPES, spacing=_SPACINGS, preset=st.sampled_from(["small", "demo", "paper"]))
@settings(deadline=None)
def test_stage_patches_grow_to_the_full_patch(shape: Shape, spacing: Spacing, preset: str) -> None:
    plan = make_plan(_task(preset=preset), _fingerprint(shape, spacing))
    stages = stage_patch_sizes(plan)
    assert stages[-1] == plan.patch_size
    volumes = [math.prod(stage) for stage in stages]
    assert volumes == sorted(volumes)
    full = math.prod(plan.patch_size)
    smallest = 2 * math.prod(plan.shape_factor)
    for stage, fraction in zip(stages, (1 / 4, 1 / 3, 1 / 2, 1), strict=True):
        assert all(size % step == 0 for size, step in zip(stage, plan.shape_factor, strict=True))
        assert smallest <= math.prod(stage) <= max(fraction * full, smallest)
    assert all(size % step == 0 for size, step in zip(plan.window_size, plan.shape_factor, strict=True))


def test_a_large_patch_shrinks_to_a_physical_cube() -> None:
    patch = patch_size((400, 400, 80), spacing=(0.8, 0.8, 4.0), factor=(8, 8, 2), budget=40 * 40 * 8)
    np.testing.assert_allclose(np.array(patch) * (0.8, 0.8, 4.0), 32.0)


def test_the_network_runs_on_the_smallest_patch() -> None:
    task = _task(training={"patch_voxels": 512})
    plan = make_plan(task, _fingerprint((5, 5, 1), (1, 1, 1), largest=(5, 5, 1)))
    network = SegResNetDS(
        spatial_dims=3,
        init_filters=2,
        blocks_down=task.network.blocks_down,
        norm="instance",
        dsdepth=1,
        resolution=plan.spacing,
    )
    for size in (*stage_patch_sizes(plan), plan.window_size):
        assert torch.isfinite(network(torch.randn(1, 1, *size))).all()


def test_ct_is_windowed_by_the_labelled_set_and_mr_by_each_scan() -> None:
    ct = make_plan(_task(modality="CT"), _fingerprint((32, 32, 32), (1, 1, 1), modality="CT"))
    assert ct.intensity == FixedWindow(low=-50, high=200, mean=60, sd=20)
    assert make_plan(_task(), _fingerprint((32, 32, 32), (1, 1, 1))).intensity == PerScan(percentiles=(0.5, 99.5))


def test_a_constant_ct_foreground_still_gets_a_window() -> None:
    constant = ForegroundIntensities(low=30, high=30, mean=30, sd=0)
    plan = make_plan(_task(modality="CT"), _fingerprint((32, 32, 32), (1, 1, 1), modality="CT", foreground=constant))
    assert plan.intensity == FixedWindow(low=29, high=31, mean=30, sd=1)


def test_labels_without_any_foreground_are_an_input_error() -> None:
    with pytest.raises(InputError, match="none of the 3 labelled scans holds any foreground; label a"):
        make_plan(_task(), _fingerprint((32, 32, 32), (1, 1, 1), foreground=None))


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_json_keeps_everything(modality: str) -> None:
    plan = make_plan(_task(modality=modality), _fingerprint((32, 32, 32), (1, 1, 3.3), modality=modality))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_unknown_keys_are_refused() -> None:
    plan = make_plan(_task(), _fingerprint((32, 32, 32), (1, 1, 1)))
    with pytest.raises(ValidationError, match="extra"):
        Plan.model_validate(plan.model_dump() | {"colour": "blue"})


@pytest.mark.parametrize(
    ("shape", "window"),
    [((35, 50, 36), (40, 56, 40)), ((100, 50, 36), (48, 56, 40)), ((8, 8, 8), (48, 64, 48)), ((1, 1, 9), (8, 8, 16))],
)
def test_a_scan_is_predicted_in_the_shortest_window_that_holds_it(shape: Shape, window: Shape) -> None:
    plan = make_plan(_task(preset="small"), _fingerprint((35, 50, 36), (1, 1, 1), largest=(43, 59, 47)))
    assert window_for(plan, shape) == window
