"""A published generation at work: from a scan to its segmentation and heatmap."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from monai.data import MetaTensor

from lib.devices import choose_device, mixed_precision
from lib.generation import Generation
from lib.heatmap import combine_votes
from lib.inference import predict_logits
from lib.network import build_network
from lib.onednn import use_onednn
from lib.preprocessing import Preprocessing
from lib.task import FoldCombination
from lib.volume import Volume

# Every one of them holds the activations of a window.
_MOST_THREADS = 8


@dataclass(frozen=True)
class Prediction:
    """What the ensemble says of one scan, on the scan's own grid.

    Attributes:
        segmentation: class indices, uint8 (x, y, z), 0 background; what the annotator is shown.
        heatmap: probability of each class, float32 (C, x, y, z), 0..1.
    """

    segmentation: np.ndarray
    heatmap: np.ndarray


@dataclass(frozen=True)
class MemberOutputs:
    """What the members make of one preprocessed scan.

    Attributes:
        segmentations: class indices, uint8 (F, K, x, y, z), one for each fold and offset; with
            `folds: vote` F is 1, the ensemble of all folds.
        probabilities: mean softmax of the folds at w^DSC, float32 (C + 1, x, y, z).
    """

    segmentations: np.ndarray
    probabilities: np.ndarray


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
        self.preprocessing = Preprocessing(generation.plan)
        task = generation.task
        # One member a core is faster than one member on all cores (benchmarks/heatmap_speed.py).
        self._threads = (
            ThreadPoolExecutor(
                min(torch.get_num_threads(), _MOST_THREADS), initializer=torch.set_num_threads, initargs=(1,)
            )
            if self._device.type == "cpu"
            else None
        )
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
        image = self.preprocessing.scan(scan)
        outputs = self.run_members(image)
        heatmap = combine_votes(outputs.segmentations, self.generation.calibration.coefficients)
        heatmap = np.clip(self.preprocessing.invert(heatmap, like=image), 0.0, 1.0)
        probabilities = self.preprocessing.invert(outputs.probabilities, like=image)
        segmentation = probabilities.argmax(axis=0).astype(np.uint8)
        if region is not None and task.region is not None:
            segmentation *= region.array > 0
            heatmap *= region.array > 0
        return Prediction(segmentation, heatmap)

    def run_members(self, image: MetaTensor) -> MemberOutputs:
        """Run all members over a scan that went through `preprocessing`.

        Args:
            image: float32 (1, x, y, z).
        """
        tensor = torch.as_tensor(image.array).to(self._device)
        by_offset = [
            [members[number] for members in self._members] for number in range(len(self.generation.task.offsets))
        ]
        outputs = self._run(tensor, [member for members in by_offset for member in members])
        segmentations = []
        for offset, members in zip(self.generation.task.offsets, by_offset, strict=True):
            of_folds, mean = _reduce(itertools.islice(outputs, len(members)))
            if offset == 0.0:
                served = mean.cpu().numpy()
            if self.generation.task.folds is FoldCombination.VOTE:
                of_folds = mean.argmax(dim=0, keepdim=True)
            segmentations.append(of_folds.to(torch.uint8).cpu().numpy())
        return MemberOutputs(np.stack(segmentations, axis=1), served)

    def _run(self, image: torch.Tensor, members: Sequence[torch.nn.Module]) -> Iterator[torch.Tensor]:
        """Give the softmax (C + 1, x, y, z) of each member, in their order."""

        def softmax(member: torch.nn.Module) -> torch.Tensor:
            # Autocast belongs to a thread, so it is entered here.
            with mixed_precision(self._device):
                return predict_logits(member, image, plan=self.generation.plan).softmax(dim=0)

        return self._threads.map(softmax, members) if self._threads else map(softmax, members)

    def _load(self, fold: int, offset: int) -> torch.nn.Module:
        generation = self.generation
        network = build_network(
            generation.task.network, class_count=len(generation.task.labels), spacing=generation.plan.spacing
        )
        network.load_state_dict(generation.load_member(fold, offset))
        use_onednn(network, self._device)
        return network.to(self._device).eval()


def _reduce(softmaxes: Iterable[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the segmentation of each fold (F, x, y, z) and the mean softmax (C + 1, x, y, z)."""
    segmentations, total = [], torch.zeros(())
    for softmax in softmaxes:
        segmentations.append(softmax.argmax(dim=0))
        total = total.to(softmax.device) + softmax
    return torch.stack(segmentations), total / len(segmentations)
