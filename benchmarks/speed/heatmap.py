"""Heatmap of one scan with all members, against a plain loop of the same members.

    python -m benchmarks.speed.heatmap --workspace demo/studies/.calibrated_ensemble --images demo/studies

The loop is what one would write first: each member by itself through MONAI's sliding window, in
float32, once with windows of the training patch and once with the windows that the ensemble uses.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from rich.console import Console
from rich.table import Table

from lib.calibration.member_outputs import MemberOutputs
from lib.images.files import SUFFIXES, read_scan
from lib.images.volume import Volume
from lib.models.ensemble import Ensemble
from lib.models.prediction import Prediction
from lib.models.workspace import Workspace
from lib.networks.unet import build_network
from lib.preprocessing.patch_size import Shape
from lib.preprocessing.plan import window_for


class PlainLoop:
    """The members of an ensemble, one after another; `windows` gives their size for a scan's shape."""

    def __init__(self, ensemble: Ensemble, windows: Callable[[Shape], Shape]):
        self._ensemble = ensemble
        self._windows = windows
        generation = ensemble.generation
        task = generation.task
        self._members = []
        for fold in range(task.fold_count):
            for offset in range(len(task.offsets)):
                network = build_network(
                    task.network, class_count=len(task.classes), spacing=generation.plan.spacing
                ).to(memory_format=torch.contiguous_format)
                network.load_state_dict(generation.load_member(fold, offset))
                self._members.append(network.eval())

    def predict(self, scan: Volume) -> Prediction:
        """Segmentation and heatmap of a scan on its own grid."""
        generation = self._ensemble.generation
        task = generation.task
        image = self._ensemble.preprocessing.apply_to_scan(scan)
        window = self._windows(image.shape[1:])
        tensor = torch.as_tensor(image.array)[None]
        softmax = []
        with torch.inference_mode():
            for member in self._members:
                logits = sliding_window_inference(tensor, window, 4, member, overlap=0.5, mode="gaussian")
                softmax.append(logits[0].softmax(dim=0).numpy())
        by_fold = np.stack(softmax).reshape(task.fold_count, len(task.offsets), *softmax[0].shape)
        mean = by_fold.mean(axis=0)
        outputs = MemberOutputs(
            by_fold.argmax(axis=2).astype(np.uint8),
            by_fold[:, task.reference_index],
            joint_segmentations=mean.argmax(axis=1).astype(np.uint8),
            member_softmax=mean[:, 1:],
        )
        heatmap = generation.calibration.heatmap(outputs)
        inverse = self._ensemble.preprocessing.inverse
        served = inverse(outputs.mean_softmax, like=image)
        return Prediction(
            segmentation=served.argmax(axis=0).astype(np.uint8),
            heatmap=inverse(heatmap, like=image),
            affine=scan.affine,
            generation=generation.id,
            classes=task.classes,
            typical_volumes=generation.typical_volumes,
        )


def main() -> None:
    """Print seconds a scan and the largest difference of the estimated DSC."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("demo/studies/.calibrated_ensemble"))
    parser.add_argument("--images", type=Path, default=Path("demo/studies"))
    parser.add_argument("--count", type=int, default=8, help="number of scans")
    arguments = parser.parse_args()
    ensemble = Ensemble(Workspace(arguments.workspace).generation(), device="cpu")
    plan, task = ensemble.generation.plan, ensemble.generation.task
    ways: dict[str, PlainLoop | Ensemble] = {
        "plain loop, windows of the patch": PlainLoop(ensemble, lambda _: plan.patch_size),
        "plain loop, the ensemble's windows": PlainLoop(ensemble, lambda shape: window_for(plan, shape)),
        "ensemble": ensemble,
    }
    scans = sorted(path for path in arguments.images.iterdir() if path.name.endswith(SUFFIXES))[: arguments.count]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    estimates: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    for number, path in enumerate([scans[0], *scans]):
        scan = read_scan(path)
        for way, predictor in ways.items():
            start = time.perf_counter()
            prediction = predictor.predict(scan)
            # The first scan warms up.
            if number:
                seconds[way].append(time.perf_counter() - start)
                estimates[way].append(tuple(prediction.estimated_dsc.values()))
    members = task.fold_count * len(task.offsets)
    table = Table(title=f"{len(scans)} scans, {members} members, {torch.get_num_threads()} threads")
    for column in ("way", "s a scan (median)", "times as fast (median)", "largest difference of the estimated DSC"):
        table.add_column(column, justify="left" if column == "way" else "right")
    ours = np.array(seconds["ensemble"])
    for way in ways:
        difference = np.abs(np.array(estimates[way]) - np.array(estimates["ensemble"])).max()
        table.add_row(
            way,
            f"{np.median(seconds[way]):.2f}",
            f"{np.median(np.array(seconds[way]) / ours):.2f}",
            f"{100 * difference:.2f} points",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
