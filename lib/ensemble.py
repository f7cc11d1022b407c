"""A published generation at work: from a scan to its segmentation and heatmap."""

from dataclasses import dataclass

import numpy as np
import torch

from lib.devices import choose_device, mixed_precision
from lib.generation import Generation
from lib.heatmap import combine_votes
from lib.inference import predict_logits
from lib.network import build_network
from lib.preprocessing import Preprocessing
from lib.task import FoldCombination
from lib.volume import Volume


@dataclass(frozen=True)
class Prediction:
    """What the ensemble says of one scan, on the scan's own grid.

    Attributes:
        segmentation: class indices, uint8 (x, y, z), 0 background; what the annotator is shown.
        heatmap: probability of each class, float32 (C, x, y, z), 0..1.
    """

    segmentation: np.ndarray
    heatmap: np.ndarray


class Ensemble:
    """All members of a generation and its coefficients, in memory.

    Args:
        generation: published generation; its files are compared with the manifest first.
        device: see `lib.devices.choose_device`.

    Raises:
        InputError: no such device.
        DamagedGenerationError: the generation's files are not as published.
    """

    def __init__(self, generation: Generation, *, device: str = "auto"):
        generation.verify()
        self.generation = generation
        self._device = choose_device(device)
        self._preprocessing = Preprocessing(generation.plan)
        task = generation.task
        self._members = [
            [self._load(fold, offset) for offset in range(len(task.offsets))] for fold in range(task.fold_count)
        ]

    def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
        """Segment a scan and map its probabilities.

        Args:
            scan: on any grid.
            region: mask on the grid of the scan; outside it both results are 0.
        """
        task = self.generation.task
        image = self._preprocessing.scan(scan)
        served, segmentations = self._run_members(torch.as_tensor(image.array).to(self._device))
        heatmap = combine_votes(segmentations, self.generation.calibration.coefficients)
        heatmap = np.clip(self._preprocessing.invert(heatmap, like=image), 0.0, 1.0)
        probabilities = self._preprocessing.invert(served, like=image)
        segmentation = probabilities.argmax(axis=0).astype(np.uint8)
        if region is not None and task.region is not None:
            segmentation *= region.array > 0
            heatmap *= region.array > 0
        return Prediction(segmentation, heatmap)

    def _run_members(self, image: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean softmax at w^DSC (C + 1, x, y, z) and the segmentations (F, K, x, y, z)."""
        task = self.generation.task
        segmentations = []
        for number in range(len(task.offsets)):
            of_folds, mean = self._run_offset(number, image)
            if task.offsets[number] == 0.0:
                served = mean.cpu().numpy()
            if task.folds is FoldCombination.VOTE:
                of_folds = mean.argmax(dim=0, keepdim=True)
            segmentations.append(of_folds.to(torch.uint8).cpu().numpy())
        return served, np.stack(segmentations, axis=1)

    def _run_offset(self, number: int, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give every fold's segmentation (F, x, y, z) and the mean softmax (C + 1, x, y, z) at one loss weight."""
        of_folds = []
        total = torch.zeros(())
        for fold in self._members:
            with mixed_precision(self._device):
                logits = predict_logits(fold[number], image, plan=self.generation.plan)
            of_folds.append(logits.argmax(dim=0))
            total = total.to(self._device) + logits.softmax(dim=0)
        return torch.stack(of_folds), total / len(self._members)

    def _load(self, fold: int, offset: int) -> torch.nn.Module:
        generation = self.generation
        network = build_network(
            generation.task.network, class_count=len(generation.task.labels), spacing=generation.plan.spacing
        )
        network.load_state_dict(generation.load_member(fold, offset))
        return network.to(self._device).eval()
