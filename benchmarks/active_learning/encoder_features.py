"""Where a scan lies among others in the eyes of the networks."""

import numpy as np
import torch
from monai.data import MetaTensor
from monai.networks.nets import SegResNetDS

from lib.devices import choose_device
from lib.generation import Generation
from lib.inference import predict_logits
from lib.network import build_network
from lib.onednn import use_onednn


class Encoders:
    """The encoders of a generation's members at w^DSC.

    Args:
        generation: whose members.
        device: see `lib.devices.choose_device`.

    Raises:
        InputError: no such device.
        DamagedGenerationError: a member cannot be read.
    """

    def __init__(self, generation: Generation, *, device: str = "auto"):
        self._device = choose_device(device)
        self._plan = generation.plan
        self._networks = [self._load(generation, fold) for fold in range(generation.task.fold_count)]

    def features(self, image: MetaTensor) -> np.ndarray:
        """Features of a scan: the deepest ones of each encoder, mean over the scan.

        Args:
            image: preprocessed scan, float32 (1, x, y, z).

        Returns:
            float32 (D,), those of one fold after those of the other.
        """
        tensor = torch.as_tensor(image.array).to(self._device)
        return torch.cat([self._pooled(network, tensor) for network in self._networks]).cpu().numpy()

    def _pooled(self, network: SegResNetDS, image: torch.Tensor) -> torch.Tensor:
        windows: list[torch.Tensor] = []

        def pool(_: torch.nn.Module, __: tuple[torch.Tensor, ...], levels: list[torch.Tensor]) -> None:
            windows.append(levels[-1].float().mean(dim=(2, 3, 4)))

        # The windows in which the member predicts suit scans of any size.
        hook = network.encoder.register_forward_hook(pool)
        try:
            predict_logits(network, image, plan=self._plan)
        finally:
            hook.remove()
        return torch.cat(windows).mean(dim=0)

    def _load(self, generation: Generation, fold: int) -> SegResNetDS:
        task = generation.task
        network = build_network(task.network, class_count=len(task.labels), spacing=generation.plan.spacing)
        network.load_state_dict(generation.load_member(fold, task.offsets.index(0.0)))
        use_onednn(network, self._device)
        return network.to(self._device).eval()
