"""The settings of a segmentation task, read from one YAML file."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lib.calibration.base import Calibrator
from lib.calibration.registry import CALIBRATORS
from lib.calibration.settings import FoldAggregation, Solver
from lib.task.presets import PRESETS, NetworkSettings, TrainingSettings

Millimetres = Annotated[float, Field(gt=0, le=50)]

RIGHT_VALUES = {
    "name": "lower-case letters, digits and underscores, such as kidney_tumor",
    "modality": "CT or MR",
    "labels": "class names with their values in the label files, 1 to 255, such as {tumour: 1}",
    "spacing": "three numbers of millimetres above 0 and at most 50, such as [0.8, 0.8, 5.0], or median",
    "w_dsc": "one number per class, such as [-0.5, -1.5], or auto",
    "offsets": "1 to 11 ascending numbers, 0 among them, such as [-3, -2, -1, 0, 1, 2, 3]",
    "fold_count": "a whole number, 2 to 10",
    "heatmap": f"one of {', '.join(CALIBRATORS)}",
    "folds": "mean or vote",
    "solver": "nonnegative or unconstrained",
    "region": "the name of a folder in labels/, of letters, digits, _ and -",
    "patient_pattern": "a regular expression with one group, such as '^(TCGA_[A-Z]+_[0-9]+)'",
    "seed": "a whole number",
    "preset": " or ".join(PRESETS),
}
"""What would be right, for each key of a task file that a message may have to name."""


class Modality(StrEnum):
    """What made the scans: CT has grey values with a unit, MR has not."""

    CT = "CT"
    MR = "MR"


class Task(BaseModel):
    """Everything that a task file may set; what it does not set is taken from the preset."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    modality: Modality
    labels: dict[str, Annotated[int, Field(ge=1, le=255)]]
    """Foreground classes: name to value in the label files, in the order of the classes."""
    spacing: tuple[Millimetres, Millimetres, Millimetres] | Literal["median"] = "median"
    """Spacing in millimetres (left-right, posterior-anterior, inferior-superior) of the network's input."""
    w_dsc: Literal["auto"] | tuple[float, ...] = "auto"
    """Loss weight with the best mean DSC, one per class; `auto` finds it by cross-validation."""
    offsets: tuple[float, ...] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    """The members' loss weights relative to `w_dsc`; 0 alone where the heatmap needs no other."""
    fold_count: Annotated[int, Field(ge=2, le=10)] = 3
    heatmap: str = "votes"
    """How the members' outputs become probabilities: a name of `lib.calibration.registry`."""
    folds: FoldAggregation = FoldAggregation.MEAN
    solver: Solver = Solver.NONNEGATIVE
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """Tag of the region mask (`labels/<tag>/`) outside which nothing is trained, counted or predicted."""
    patient_pattern: str | None = None
    """Regular expression whose first group, searched in a scan's name, is its patient; by default each scan is one."""
    seed: int = 0
    preset: Literal["paper", "small", "demo"] = "small"
    network: NetworkSettings
    training: TrainingSettings

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        name = data.get("preset", "small")
        preset = PRESETS.get(name) if isinstance(name, str) else None
        if preset is None:
            return data
        for part in ("network", "training"):
            given = data.get(part) or {}
            if isinstance(given, dict):
                data[part] = getattr(preset, part).model_dump() | given
        return data

    @model_validator(mode="before")
    @classmethod
    def _keep_needed_offsets(cls, data: Any) -> Any:
        heatmap = data.get("heatmap") if isinstance(data, dict) else None
        if isinstance(heatmap, str) and heatmap in CALIBRATORS and not CALIBRATORS[heatmap].needs_all_offsets:
            return data | {"offsets": (0.0,)}
        return data

    @field_validator("w_dsc", mode="before")
    @classmethod
    def _one_number_is_one_class(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("labels")
    @classmethod
    def _labels_are_distinct(cls, labels: dict[str, int]) -> dict[str, int]:
        if not labels:
            raise ValueError("give at least one foreground class, such as {tumour: 1}")
        if len(set(labels.values())) < len(labels):
            raise ValueError("two classes have the same value; give each its own")
        return labels

    @field_validator("offsets")
    @classmethod
    def _offsets_hold_zero(cls, offsets: tuple[float, ...]) -> tuple[float, ...]:
        if list(offsets) != sorted(set(offsets)) or 0.0 not in offsets or not 1 <= len(offsets) <= 11:
            raise ValueError(f"give {RIGHT_VALUES['offsets']}")
        return offsets

    @field_validator("heatmap")
    @classmethod
    def _heatmap_is_known(cls, heatmap: str) -> str:
        if heatmap not in CALIBRATORS:
            raise ValueError(f"give {RIGHT_VALUES['heatmap']}")
        return heatmap

    @field_validator("patient_pattern")
    @classmethod
    def _pattern_has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"no regular expression ({error})") from error
            if groups < 1:
                raise ValueError("it has no group for the patient; give " + RIGHT_VALUES["patient_pattern"])
        return pattern

    @model_validator(mode="after")
    def _one_weight_per_class(self) -> Self:
        if self.w_dsc != "auto" and len(self.w_dsc) != len(self.labels):
            raise ValueError(f"`w_dsc` has {len(self.w_dsc)} values for {len(self.labels)} classes; give one per class")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the foreground classes, in the order of heatmap channels."""
        return tuple(self.labels)

    @property
    def calibrator(self) -> Calibrator:
        """The calibrator that `heatmap` names, with those of the settings `folds` and `solver` that it has."""
        family = CALIBRATORS[self.heatmap]
        settings = {"fold_aggregation": self.folds, "solver": self.solver}
        return family(**{name: value for name, value in settings.items() if name in family.model_fields})

    @property
    def reference_index(self) -> int:
        """Position of w^DSC among the offsets."""
        return self.offsets.index(0.0)

    def patient(self, scan: str) -> str:
        """Patient that the scan of this name belongs to; each scan is one where the pattern finds none."""
        return self.patient_in(scan) or scan

    def patient_in(self, scan: str) -> str | None:
        """Patient that `patient_pattern` finds in the name of a scan; None where it finds none or is not set."""
        match = re.search(self.patient_pattern, scan) if self.patient_pattern else None
        # A group that is optional may be missing or empty where the pattern as a whole matches.
        return (match.group(1) or None) if match else None
