"""How good an ensemble is on labelled scans that it was not trained on.

    python benchmarks/held_out.py --workspace WORKSPACE --images imagesTr --labels labelsTr

Scans that the current generation was trained on are left out. Figures are in percentage points.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import mean_absolute_error

from lib.ensemble import Ensemble
from lib.heatmap import combine_votes
from lib.out_of_fold import dice_per_class
from lib.segmentation import class_indices
from lib.volume import Volume, read_label, read_scan, scan_name
from lib.workspace import Workspace
from scoring.estimated_dsc import estimated_dsc

BINS = 20


@dataclass
class Calibration:
    """Voxels where any member votes, in equal bins of the heatmap, for one class."""

    voxels: np.ndarray
    foreground: np.ndarray
    heat: np.ndarray

    def add(self, heat: np.ndarray, truth: np.ndarray) -> None:
        """Count voxels: heat float (n,), 0..1, and truth bool (n,)."""
        bins = np.minimum((heat * BINS).astype(int), BINS - 1)
        self.voxels += np.bincount(bins, minlength=BINS)
        self.foreground += np.bincount(bins, truth, minlength=BINS)
        self.heat += np.bincount(bins, heat, minlength=BINS)

    def error(self) -> float:
        """Expected calibration error: mean over voxels of |mean heat - prevalence| of their bin."""
        return float(np.abs(self.heat - self.foreground).sum() / self.voxels.sum())


def main() -> None:
    """Print one row per class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="take only the first scans")
    arguments = parser.parse_args()
    ensemble = Ensemble(Workspace(arguments.workspace).generation())
    generation = ensemble.generation
    classes = generation.task.classes
    trained = set(generation.metrics["dice_by_scan"])
    scans = [path for path in sorted(arguments.images.iterdir()) if scan_name(path) not in trained][: arguments.limit]
    calibration = [Calibration(*np.zeros((3, BINS))) for _ in classes]
    true, estimated = [], []
    for path in track(scans, description="scans", console=Console(stderr=True)):
        scan = read_scan(path)
        label = read_label(arguments.labels / path.name, values=generation.task.labels.values(), scan=scan)
        truth = class_indices(label.array, generation.task)
        image = ensemble.preprocessing.scan(scan)
        outputs = ensemble.run_members(image)
        heatmap = combine_votes(outputs.segmentations, generation.calibration.coefficients)
        on_grid = ensemble.preprocessing.label(Volume(truth, label.affine), like=image).numpy()
        for number, counts in enumerate(calibration, 1):
            voted = (outputs.segmentations == number).any(axis=(0, 1))
            counts.add(heatmap[number - 1][voted].astype(np.float64), on_grid[voted] == number)
        heatmap = np.clip(ensemble.preprocessing.invert(heatmap, like=image), 0, 1)
        segmentation = ensemble.preprocessing.invert(outputs.probabilities, like=image).argmax(axis=0).astype(np.uint8)
        true.append(np.nan_to_num(dice_per_class(segmentation, truth, class_count=len(classes)), nan=1.0))
        estimated.append(
            estimated_dsc(
                heatmap,
                segmentation,
                voxel_volume=float(abs(np.linalg.det(scan.affine[:3, :3]))),
                typical_volumes=generation.typical_volumes,
            )
        )
    table = Table(title=f"{len(scans)} held-out scans, generation {generation.id}, trained on {len(trained)}")
    for column in ("class", "mean DSC", "ECE", "MAE of the estimated DSC", "its bias", "MAE of the constant"):
        table.add_column(column, justify="left" if column == "class" else "right")
    dsc, estimate = np.asarray(true), np.asarray(estimated)
    for number, name in enumerate(classes):
        constant = np.full(len(scans), generation.metrics["dice"][name])
        table.add_row(
            name,
            f"{100 * dsc[:, number].mean():.1f}",
            f"{100 * calibration[number].error():.2f}",
            f"{100 * mean_absolute_error(dsc[:, number], estimate[:, number]):.2f}",
            f"{100 * (estimate - dsc)[:, number].mean():+.2f}",
            f"{100 * mean_absolute_error(dsc[:, number], constant):.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
