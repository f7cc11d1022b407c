"""A published generation at work: from a scan to its segmentation and heatmap."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_

import numpy as np
import torch
from monai.data import MetaTensor
from monai.networks.nets import SegResNetDS

from lib.calibration.base import Calibration
from lib.calibration.member_outputs import MemberOutputs, RequiredOutputs
from lib.images.region import inside_region
from lib.images.volume import Volume
from lib.models.generation import Generation
from lib.models.prediction import Prediction
from lib.networks.core_threads import single_core_threads
from lib.networks.cpu_convolutions import use_onednn
from lib.networks.devices import choose_device
from lib.networks.sliding_window import predict_logits
from lib.networks.unet import build_network
from lib.preprocessing.preprocessor import Preprocessor

logger = logging.getLogger(__name__)


class Ensemble:
    """Members of a generation and its calibration, in memory.

    Args:
        generation: published generation; the files of what is loaded are compared with the manifest first.
        device: see `lib.networks.devices.choose_device`.
        folds: numbers of the folds whose members predict; all of them when None.

    Raises:
        InputError: no such device.
        DamagedGenerationError: the generation's files are not as published.
        ValueError: no such fold, one twice, or none at all.
    """

    def __init__(self, generation: Generation, *, device: str = "auto", folds: Sequence[int] | None = None):
        task = generation.task
        chosen = list(range(task.fold_count)) if folds is None else list(folds)
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(task.fold_count)):
            raise ValueError(f"folds {chosen}: give some of the generation's, 0 to {task.fold_count - 1}, each once")
        self.generation = generation
        self.preprocessing = Preprocessor(generation.plan)
        self._device = choose_device(device)
        # One member a core is faster than one member on all cores (benchmarks/speed/heatmap.py).
        self._threads = single_core_threads() if self._device.type == "cpu" else None
        with generation.reading():
            generation.verify(chosen)
            self.members = [[self._load(fold, number) for number in range(len(task.offsets))] for fold in chosen]
        """Networks, `[fold][offset]`."""
        for name, dice in generation.doubtful_classes.items():
            logger.warning(
                "class %s: its heatmap does not tell yet where it is, so that its estimated DSC is that of "
                "cross-validation, %.0f %%; label more scans that hold it",
                name,
                100 * dice,
            )

    def predict(self, scan: Volume, region: Volume | None = None) -> Prediction:
        """Segment a scan and map its probabilities.

        Args:
            scan: on any grid.
            region: mask on the grid of the scan; outside it both results are 0. A task without a region takes
                no notice of it.

        Raises:
            MemoryError: the scan needs more memory than the device has free.
        """
        image = self.preprocessing.apply_to_scan(scan)
        try:
            outputs = self.run_members(image)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        return self.prediction(outputs, image, scan, region)

    def prediction(
        self, outputs: MemberOutputs, image: MetaTensor, scan: Volume, region: Volume | None = None
    ) -> Prediction:
        """Bring what the members made of a scan onto its grid.

        Args:
            outputs: from `run_members`, for the generation's own calibration.
            image: the scan after `preprocessing`.
            scan: as it was.
            region: see `predict`.
        """
        generation = self.generation
        mask = None if region is None or generation.task.region is None else region.array
        heatmap = self.preprocessing.inverse(generation.calibration.heatmap(outputs), like=image)
        return Prediction(
            segmentation=inside_region(self.segment(outputs, image), mask),
            heatmap=inside_region(np.clip(heatmap, 0.0, 1.0), mask),
            affine=scan.affine,
            generation=generation.id,
            classes=generation.task.classes,
            typical_volumes=generation.typical_volumes,
            is_nowhere=mask is not None and not mask.any(),
            expected_dsc=generation.doubtful_classes,
            forms=scan.forms,
        )

    def segment(self, outputs: MemberOutputs, image: MetaTensor) -> np.ndarray:
        """Give the class of the largest mean softmax at w^DSC, class indices, uint8 (x, y, z) on the scan's grid."""
        return self.preprocessing.inverse(outputs.mean_softmax, like=image).argmax(axis=0).astype(np.uint8)

    def run_members(self, image: MetaTensor, calibrations: Sequence[Calibration] | None = None) -> MemberOutputs:
        """Run all members over a scan that went through `preprocessing`.

        Args:
            image: float32 (1, x, y, z).
            calibrations: what the outputs are for; the generation's own when None.
        """
        wanted = [self.generation.calibration] if calibrations is None else calibrations
        required = reduce(or_, (calibration.required_outputs for calibration in wanted), RequiredOutputs.NONE)
        tensor = torch.as_tensor(image.array).to(self._device)
        by_offset = list(zip(*self.members, strict=True))
        reference = self.generation.task.reference_index
        outputs = self._run(tensor, [member for members in by_offset for member in members])
        segmentations, joint_segmentations, member_softmax = [], [], []
        for number, members in enumerate(by_offset):
            by_fold, kept = [], []
            for softmax in itertools.islice(outputs, len(members)):
                by_fold.append(_class_indices(softmax))
                if number == reference or required:
                    kept.append(softmax)
            segmentations.append(np.stack(by_fold))
            if number == reference:
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

    def _load(self, fold: int, offset_index: int) -> SegResNetDS:
        generation, settings = self.generation, self.generation.task.network
        network = build_network(settings, class_count=len(generation.task.labels), spacing=generation.plan.spacing)
        network.load_state_dict(generation.load_member(fold, offset_index))
        generation.kind.finish_network(network, dropout=settings.dropout, fold=fold)
        use_onednn(network, self._device)
        return network.to(self._device).eval()


def _class_indices(softmax: torch.Tensor) -> np.ndarray:
    """Give the class with the largest softmax, uint8 (x, y, z), of softmax (C + 1, x, y, z)."""
    return softmax.argmax(dim=0).to(torch.uint8).cpu().numpy()
