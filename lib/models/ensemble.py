"""A published generation at work: from a scan to its segmentation and heatmap."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import or_

import numpy as np
import torch
from monai.data import MetaTensor
from monai.networks.nets import SegResNetDS

from lib.calibration.base import Calibration
from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.images.volume import Volume
from lib.models.generation import Generation
from lib.models.method import Method
from lib.networks.core_threads import single_core_threads
from lib.networks.cpu_convolutions import use_onednn
from lib.networks.devices import choose_device
from lib.networks.dropout import fix_dropout
from lib.networks.sliding_window import predict_logits
from lib.networks.unet import build_network
from lib.preprocessing.preprocessor import Preprocessing


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
    """All members of a generation and its calibration, in memory.

    Args:
        generation: published generation; its files are compared with the manifest first.
        device: see `lib.networks.devices.choose_device`.

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
        self._threads = single_core_threads() if self._device.type == "cpu" else None
        self._members = [
            [self._load(fold, offset) for offset in range(len(task.offsets))] for fold in range(task.fold_count)
        ]

    @property
    def served_members(self) -> list[SegResNetDS]:
        """The networks at w^DSC, one per fold."""
        served = self.generation.task.offsets.index(0.0)
        return [members[served] for members in self._members]

    def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
        """Segment a scan and map its probabilities.

        Args:
            scan: on any grid.
            region: mask on the grid of the scan; outside it both results are 0.

        Raises:
            MemoryError: the scan needs more memory than the device has free.
        """
        task = self.generation.task
        image = self.preprocessing.scan(scan)
        try:
            outputs = self.run_members(image)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        heatmap = self.generation.calibration.heatmap(outputs)
        heatmap = np.clip(self.preprocessing.invert(heatmap, like=image), 0.0, 1.0)
        probabilities = self.preprocessing.invert(outputs.probabilities, like=image)
        segmentation = probabilities.argmax(axis=0).astype(np.uint8)
        if region is not None and task.region is not None:
            segmentation *= region.array > 0
            heatmap *= region.array > 0
        return Prediction(segmentation, heatmap)

    def run_members(self, image: MetaTensor, calibrations: Sequence[Calibration] | None = None) -> MemberOutputs:
        """Run all members over a scan that went through `preprocessing`.

        Args:
            image: float32 (1, x, y, z).
            calibrations: what the outputs are for; the generation's own when None.
        """
        wanted = [self.generation.calibration] if calibrations is None else calibrations
        required = reduce(or_, (calibration.required_outputs for calibration in wanted), RequiredOutputs.NONE)
        tensor = torch.as_tensor(image.array).to(self._device)
        offsets = self.generation.task.offsets
        by_offset = [[members[number] for members in self._members] for number in range(len(offsets))]
        outputs = self._run(tensor, [member for members in by_offset for member in members])
        segmentations, joint_segmentations, member_softmax = [], [], []
        for offset, members in zip(offsets, by_offset, strict=True):
            by_fold, kept = [], []
            for softmax in itertools.islice(outputs, len(members)):
                by_fold.append(_class_indices(softmax))
                if offset == 0.0 or required:
                    kept.append(softmax)
            segmentations.append(np.stack(by_fold))
            if offset == 0.0:
                served = torch.stack(kept).cpu().numpy()
            if required:
                mean = torch.stack(kept).mean(dim=0)
                if RequiredOutputs.JOINT_SEGMENTATIONS in required:
                    joint_segmentations.append(_class_indices(mean))
                if RequiredOutputs.MEMBER_SOFTMAX in required:
                    member_softmax.append(mean[1:].cpu().numpy())
        return MemberOutputs(
            np.stack(segmentations, axis=1),
            served,
            joint_segmentations=np.stack(joint_segmentations) if joint_segmentations else None,
            member_softmax=np.stack(member_softmax) if member_softmax else None,
        )

    def _run(self, image: torch.Tensor, members: Sequence[torch.nn.Module]) -> Iterator[torch.Tensor]:
        """Give the softmax (C + 1, x, y, z) of each member, in their order."""

        def softmax(member: torch.nn.Module) -> torch.Tensor:
            return predict_logits(member, image, plan=self.generation.plan).softmax(dim=0)

        return self._threads.map(softmax, members) if self._threads else map(softmax, members)

    def _load(self, fold: int, offset: int) -> SegResNetDS:
        generation = self.generation
        network = build_network(
            generation.task.network, class_count=len(generation.task.labels), spacing=generation.plan.spacing
        )
        network.load_state_dict(generation.load_member(fold, offset))
        if generation.method is Method.DROPOUT:
            fix_dropout(network, generation.task.network.dropout, seed=fold)
        use_onednn(network, self._device)
        return network.to(self._device).eval()


def _class_indices(softmax: torch.Tensor) -> np.ndarray:
    """Give the class with the largest softmax, uint8 (x, y, z), of softmax (C + 1, x, y, z)."""
    return softmax.argmax(dim=0).to(torch.uint8).cpu().numpy()


@dataclass(frozen=True)
class SingleFold(Generation):
    """A generation of one fold; `lib.models.ensemble.Ensemble` predicts with its members alone.

    Attributes:
        fold: number of the fold in the whole generation.
    """

    fold: int

    def load_member(self, fold: int, offset: int) -> dict[str, torch.Tensor]:
        """Weights of a member, see `Generation.load_member`; `fold` is 0, the only one there is."""
        if fold != 0:
            raise ValueError(f"fold {fold}: a single fold has only fold 0")
        return super().load_member(self.fold, offset)


def single_fold(generation: Generation, fold: int) -> SingleFold:
    """Give one fold of a generation.

    Args:
        generation: published, with all its folds.
        fold: 0..fold_count - 1.

    Raises:
        ValueError: there is no such fold.
    """
    if not 0 <= fold < generation.task.fold_count:
        raise ValueError(f"fold {fold}: the generation has folds 0 to {generation.task.fold_count - 1}")
    values = {field.name: getattr(generation, field.name) for field in fields(Generation)}
    values["task"] = generation.task.model_copy(update={"fold_count": 1})
    return SingleFold(**values, fold=fold)
