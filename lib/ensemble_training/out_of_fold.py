"""What members make of the scans that they were not trained on."""

import io
import logging
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import torch

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs
from lib.metrics.dice import dice_per_class
from lib.networks.devices import computes_bfloat16
from lib.networks.sliding_window import predict_logits
from lib.preprocessing.prepared_scans import PreparedScan
from lib.progress import Progress
from lib.storage.atomic import atomic_path
from lib.storage.digest import digest_settings
from lib.training.cross_validation import CrossValidation
from lib.training.member_keys import LossWeight

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanEvaluation:
    """All that is kept of one scan.

    Attributes:
        name: name of the scan.
        fold: the fold whose members have not seen it.
        dice: DSC of each member, float64 (K, C), on the network's grid; NaN where a class is
            neither labelled nor predicted.
        file: holds the DSC, and the statistics, which are too many to have in memory for all scans.
    """

    name: str
    fold: int
    dice: np.ndarray
    file: Path

    @property
    def statistics(self) -> OutOfFoldStatistics:
        """What calibrations are fitted to, read from the file."""
        with np.load(self.file, allow_pickle=False) as stored:
            return OutOfFoldStatistics.from_arrays(stored)


def evaluate_out_of_fold(
    cross_validation: CrossValidation,
    weights: Sequence[LossWeight],
    *,
    served: int,
    folder: Path,
    progress: Progress,
) -> list[ScanEvaluation]:
    """Evaluate the members at K loss weights on the scans of their fold, one scan in memory at a time.

    Args:
        cross_validation: with trained members at these loss weights.
        weights: the K loss weights; the order is that of the bits of a vote pattern.
        served: which of them is w^DSC.
        folder: where the evaluation of each scan is kept, so that an interrupted one resumes.
        progress: told of every scan.
    """
    total = sum(len(fold.validation) for fold in cross_validation.folds)
    window = cross_validation.plan.window_size
    precision = computes_bfloat16(cross_validation.device)
    evaluations: list[ScanEvaluation] = []
    for fold in cross_validation.folds:
        members: list[torch.nn.Module] = []
        keys = [cross_validation.member_key(fold, weight) for weight in weights]
        for scan in fold.validation:
            path = folder / f"{digest_settings([keys, served, window, precision, scan.digest])[:40]}.npz"
            dice = _kept_dice(path)
            if dice is None:
                members = members or [cross_validation.load(fold, weight) for weight in weights]
                dice, statistics = _evaluate(members, scan, served=served, cross_validation=cross_validation)
                _write(path, dice, statistics)
            evaluations.append(ScanEvaluation(scan.name, fold.number, dice, path))
            progress("cross-validation", len(evaluations), total)
    return evaluations


def mean_dice(evaluations: Sequence[ScanEvaluation]) -> np.ndarray:
    """Mean DSC over scans, float64 (K, C); NaN for a class that no scan holds."""
    dice = np.stack([evaluation.dice for evaluation in evaluations])
    present = np.isfinite(dice)
    with np.errstate(invalid="ignore"):
        return np.where(present, dice, 0.0).sum(axis=0) / present.sum(axis=0)


def sum_statistics(evaluations: Sequence[ScanEvaluation]) -> OutOfFoldStatistics:
    """Statistics of all scans together; there is at least one."""
    return reduce(add, (evaluation.statistics for evaluation in evaluations))


def _evaluate(
    members: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    scan: PreparedScan,
    *,
    served: int,
    cross_validation: CrossValidation,
) -> tuple[np.ndarray, OutOfFoldStatistics]:
    image = torch.from_numpy(np.array(scan.image))[None].to(cross_validation.device)
    class_count = len(cross_validation.task.labels)
    voted = np.empty((len(members), *scan.image.shape), np.uint8)
    softmax = np.empty((len(members), class_count, *scan.image.shape), np.float32)
    for number, member in enumerate(members):
        logits = predict_logits(member, image, plan=cross_validation.plan)
        voted[number] = logits.argmax(dim=0).to(torch.uint8).cpu().numpy()
        softmax[number] = logits.softmax(dim=0)[1:].cpu().numpy()
    label = np.array(scan.label)
    region = None if scan.region is None else np.array(scan.region)
    if region is not None:
        label, voted = label * region, voted * region
    dice = np.stack([dice_per_class(one, label, class_count=class_count) for one in voted])
    return dice, reduce_outputs(softmax, voted, label, served=served, region=region)


def _kept_dice(path: Path) -> np.ndarray | None:
    """Read an evaluation whole and give its DSC; None where there is none, or a damaged one, to be made again."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)["dice"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        logger.warning("%s: is damaged (%s); it is made again", path, error)
        return None


def _write(path: Path, dice: np.ndarray, statistics: OutOfFoldStatistics) -> None:
    # Written in one go, since a zip file that meets a full disk complains once more when it is discarded.
    buffer = io.BytesIO()
    np.savez_compressed(buffer, dice=dice, **statistics.to_arrays())
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
