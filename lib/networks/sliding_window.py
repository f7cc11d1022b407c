"""One member over one scan."""

from collections.abc import Callable

import torch
from monai.inferers import sliding_window_inference

from lib.networks.devices import mixed_precision
from lib.preprocessing.plan import Plan, window_for

OVERLAP = 0.5
"""Of neighbouring windows (paper, section 3.2)."""

_WINDOW_BATCH = 2


def predict_logits(member: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor, *, plan: Plan) -> torch.Tensor:
    """Run a member over a preprocessed scan in overlapping windows, weighted by a Gaussian.

    In bfloat16 where the device has it, in cross-validation as when it is served.

    Args:
        member: from windows (n, 1, *window) to logits (n, C + 1, *window).
        image: float32 (1, x, y, z), on the device of the member.
        plan: the window, see `lib.preprocessing.plan.window_for`; beyond the scan it holds zeros.

    Returns:
        Logits, float32 (C + 1, x, y, z).
    """
    window = window_for(plan, image.shape[1:])
    with torch.inference_mode(), mixed_precision(image.device):
        logits = sliding_window_inference(image[None], window, _WINDOW_BATCH, member, overlap=OVERLAP, mode="gaussian")
    return torch.as_tensor(logits)[0].float()
