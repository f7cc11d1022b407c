"""How scans are preprocessed and cut into patches, decided from the task and the fingerprint."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lib.errors import InputError
from lib.preprocessing.fingerprint import PERCENTILES, Fingerprint
from lib.preprocessing.patch_size import Shape, Spacing, fit_to_budget, patch_size, shape_at, shape_factor, window_size
from lib.task.task import Modality, Task

# Patch volume of the first three training stages as a fraction of the full patch (paper, section 3.2).
_STAGE_FRACTIONS = (1 / 4, 1 / 3, 1 / 2)


class FixedWindow(BaseModel):
    """Grey values that have a unit (CT): one window and one z-score for all scans."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["fixed_window"] = "fixed_window"
    low: float
    high: float
    mean: float
    sd: Annotated[float, Field(gt=0)]


class PerScan(BaseModel):
    """Grey values without a unit (MR): each scan has its own window and z-score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["per_scan"] = "per_scan"
    percentiles: tuple[float, float] = PERCENTILES


class Plan(BaseModel):
    """The preprocessing plan; axes in the order left-right, posterior-anterior, inferior-superior."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spacing: Spacing
    """Millimetres between voxel centres of the network's input; also the network's `resolution`."""
    intensity: Annotated[FixedWindow | PerScan, Field(discriminator="kind")]
    shape_factor: Shape
    """Every size that the network sees is a multiple of this."""
    patch_size: Shape
    """Voxels of a full-size training patch."""
    window_size: Shape
    """Largest sliding window at inference, in voxels; see `window_for`."""


def make_plan(task: Task, fingerprint: Fingerprint) -> Plan:
    """Make the plan for a task from the fingerprint of its labelled scans.

    The patch fits the median shape at the target spacing and holds at most
    `task.training.patch_voxels` voxels (see `patch_size`).
    The window covers the largest labelled scan where that is at most 1.5 patches long.

    Raises:
        InputError: no labelled scan holds any foreground.
    """
    if fingerprint.foreground is None:
        raise InputError(
            f"labels: none of the {fingerprint.scan_count} labelled scans holds any foreground; "
            f"label {' or '.join(task.classes)} on some of them"
        )
    spacing = fingerprint.median_spacing if task.spacing == "median" else task.spacing
    factor = shape_factor(spacing, stage_count=len(task.network.blocks_down))
    patch = patch_size(
        shape_at(fingerprint.median_extent, spacing), spacing=spacing, factor=factor, budget=task.training.patch_voxels
    )
    return Plan(
        spacing=spacing,
        intensity=_intensity(fingerprint),
        shape_factor=factor,
        patch_size=patch,
        window_size=window_size(shape_at(fingerprint.largest_extent, spacing), patch=patch, factor=factor),
    )


def stage_patch_sizes(plan: Plan) -> tuple[Shape, Shape, Shape, Shape]:
    """Patch shapes of the four training stages: at most 1/4, 1/3, 1/2 and all of the voxels."""
    counts = [size // step for size, step in zip(plan.patch_size, plan.shape_factor, strict=True)]
    first, second, third = (
        fit_to_budget(
            counts,
            spacing=plan.spacing,
            factor=plan.shape_factor,
            budget=math.floor(fraction * math.prod(plan.patch_size)),
        )
        for fraction in _STAGE_FRACTIONS
    )
    return first, second, third, plan.patch_size


def window_for(plan: Plan, shape: Sequence[int]) -> Shape:
    """Window in which a preprocessed scan is predicted.

    Args:
        plan: its largest window.
        shape: of the preprocessed scan, in voxels.

    Returns:
        The plan's window, shortened where the scan is shorter to the next multiple that the network
        takes; never below what the network needs to normalise.
    """
    x, y, z = (
        min(size, math.ceil(length / factor) * factor)
        for size, length, factor in zip(plan.window_size, shape, plan.shape_factor, strict=True)
    )
    return (x, y, z) if (x, y, z) != plan.shape_factor else plan.window_size


def _intensity(fingerprint: Fingerprint) -> FixedWindow | PerScan:
    if fingerprint.modality is Modality.MR:
        return PerScan()
    foreground = fingerprint.foreground
    assert foreground is not None
    if foreground.sd > 0:
        return FixedWindow(**foreground.model_dump())
    # A constant foreground has no spread to fit; one unit either side keeps edges visible.
    return FixedWindow(low=foreground.mean - 1, high=foreground.mean + 1, mean=foreground.mean, sd=1.0)
