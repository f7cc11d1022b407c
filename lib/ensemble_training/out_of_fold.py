"""What members make of the scans that they were not trained on."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs
from lib.images.region import inside_region
from lib.metrics.dice import dice_per_class
from lib.networks.devices import computes_bfloat16
from lib.networks.sliding_window import predict_logits
from lib.preprocessing.plan import Plan
from lib.preprocessing.prepared_scans import PreparedScan
from lib.progress import Progress
from lib.storage.arrays import read_arrays, write_arrays
from lib.storage.digest import digest_settings
from lib.training.checkpoints import CheckpointStore
from lib.training.member_job import MemberJob
from lib.training.members import load_member

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
        return OutOfFoldStatistics.from_arrays(read_arrays(self.file))


def evaluate_out_of_fold(
    members: Sequence[Sequence[MemberJob]],
    store: CheckpointStore,
    *,
    reference: int,
    folder: Path,
    device: torch.device,
    progress: Progress,
) -> list[ScanEvaluation]:
    """Evaluate trained members on the scans that their fold holds out, one scan in memory at a time.

    Args:
        members: `[fold][weight]`; the order of the K loss weights is that of the bits of a vote pattern.
        store: where they are kept.
        reference: position of w^DSC among the loss weights.
        folder: where the evaluation of each scan is kept, so that an interrupted one resumes.
        device: where members are run.
        progress: told of every scan, as the stage "cross-validation".

    Returns:
        One for each scan that is held out; none for members that were trained on all scans.
    """
    total = sum(len(jobs[0].fold.validation) for jobs in members)
    precision = computes_bfloat16(device)
    evaluations: list[ScanEvaluation] = []
    for jobs in members:
        networks: list[torch.nn.Module] = []
        fold, plan, class_count = jobs[0].fold, jobs[0].plan, len(jobs[0].labels)
        keys = [job.key for job in jobs]
        for scan in fold.validation:
            path = folder / f"{digest_settings([keys, reference, plan.window_size, precision, scan.digest])[:40]}.npz"
            dice = _kept_dice(path)
            if dice is None:
                networks = networks or [load_member(job, store, device=device) for job in jobs]
                softmax, voted = _predict(networks, scan, plan, class_count, device)
                dice, statistics = _compare(softmax, voted, scan, reference)
                write_arrays(path, {"dice": dice, **statistics.to_arrays()})
            evaluations.append(ScanEvaluation(scan.name, fold.number, dice, path))
            progress("cross-validation", len(evaluations), total)
    return evaluations


def mean_dice(evaluations: Sequence[ScanEvaluation]) -> np.ndarray:
    """Mean DSC over scans, float64 (K, C); NaN for a class that no scan holds. There is at least one scan."""
    dice = np.stack([evaluation.dice for evaluation in evaluations])
    present = np.isfinite(dice)
    with np.errstate(invalid="ignore"):
        return np.where(present, dice, 0.0).sum(axis=0) / present.sum(axis=0)


def _predict(
    networks: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    scan: PreparedScan,
    plan: Plan,
    class_count: int,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Softmax of the foreground classes, float32 (K, C, x, y, z), and class indices, uint8 (K, x, y, z)."""
    image = torch.from_numpy(np.array(scan.image))[None].to(device)
    softmax = np.empty((len(networks), class_count, *scan.image.shape), np.float32)
    voted = np.empty((len(networks), *scan.image.shape), np.uint8)
    for number, network in enumerate(networks):
        logits = predict_logits(network, image, plan=plan)
        softmax[number] = logits.softmax(dim=0)[1:].cpu().numpy()
        voted[number] = logits.argmax(dim=0).to(torch.uint8).cpu().numpy()
    return softmax, voted


def _compare(
    softmax: np.ndarray, voted: np.ndarray, scan: PreparedScan, reference: int
) -> tuple[np.ndarray, OutOfFoldStatistics]:
    region = None if scan.region is None else np.array(scan.region)
    label, voted = inside_region(np.array(scan.label), region), inside_region(voted, region)
    dice = np.stack([dice_per_class(one, label, class_count=softmax.shape[1]) for one in voted])
    return dice, reduce_outputs(softmax, voted, label, served=reference, region=region)


def _kept_dice(path: Path) -> np.ndarray | None:
    """Read an evaluation whole and give its DSC; None where there is none, or a damaged one, to be made again."""
    if not path.exists():
        return None
    try:
        return read_arrays(path)["dice"]
    except ValueError as error:
        logger.warning("%s; it is made again", error)
    except KeyError as error:
        logger.warning("%s: holds no %s; it is made again", path, error)
    return None
