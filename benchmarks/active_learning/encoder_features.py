"""Where a scan lies among others in the eyes of the networks."""

from contextlib import ExitStack

import numpy as np
import torch
from monai.data import MetaTensor
from torch import nn

from lib.calibration.member_outputs import MemberOutputs
from lib.models.ensemble import Ensemble


def run_with_features(ensemble: Ensemble, image: MetaTensor) -> tuple[MemberOutputs, np.ndarray]:
    """Run all members over a scan, and note what the encoders of those at w^DSC see.

    Args:
        ensemble: whose members.
        image: preprocessed scan, float32 (1, x, y, z).

    Returns:
        The outputs; and the features, float32 (D,): the deepest ones of each encoder, mean over the
        windows of the scan, those of one fold after those of the other.
    """
    reference = ensemble.generation.task.reference_index
    networks = [members[reference] for members in ensemble.members]
    notes = [_Notes() for _ in networks]
    with ExitStack() as hooks:
        for network, seen in zip(networks, notes, strict=True):
            hooks.callback(network.encoder.register_forward_hook(seen).remove)
        outputs = ensemble.run_members(image)
    # The windows in which a member predicts suit scans of any size.
    features = torch.cat([torch.cat(seen.windows).mean(dim=0) for seen in notes])
    return outputs, features.cpu().numpy()


class _Notes:
    """A hook that keeps the deepest features of windows, mean over their voxels, float32 (n, channels)."""

    def __init__(self) -> None:
        self.windows: list[torch.Tensor] = []

    def __call__(self, _encoder: nn.Module, _input: tuple[torch.Tensor, ...], levels: list[torch.Tensor]) -> None:
        self.windows.append(levels[-1].float().mean(dim=(2, 3, 4)))
