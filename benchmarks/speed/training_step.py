"""One optimiser step of a preset at its full patch: channels last against the default memory format.

    python -m benchmarks.speed.training_step

Two copies of one network, with the same weights, take turns on the same made-up batch, so that
whatever else the machine does slows both down. Their first losses must agree: the memory format
changes the speed and nothing else. Loading and augmentation of patches are not part of it.
"""

import argparse
import statistics
import time
from dataclasses import dataclass, field

import torch
from rich.console import Console
from rich.table import Table

from lib.networks.devices import choose_device, computes_bfloat16, mixed_precision
from lib.networks.unet import build_network
from lib.preprocessing.patch_size import patch_size, shape_factor
from lib.task.presets import PRESETS
from lib.training.loss import EnsembleLoss

_CLASSES = 2
_SPACING = (1.0, 1.0, 1.0)
_TYPICAL_SCAN = (35, 50, 35)
"""Voxels of a hippocampus crop, which the `small` preset is made for."""


@dataclass
class Contestant:
    """A network in one memory format and the seconds that its steps took."""

    name: str
    network: torch.nn.Module
    image: torch.Tensor
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4, fused=True)
        self._criterion = EnsembleLoss((0.0,) * _CLASSES)

    def step(self, label: torch.Tensor) -> None:
        """Take one optimiser step."""
        start = time.perf_counter()
        with mixed_precision(self.image.device):
            logits = self.network(self.image)
        loss = self._criterion(logits.float(), label)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        # Waits for the device, so that its time is counted.
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)


def make_contestants(preset: str, device: torch.device, seed: int) -> tuple[list[Contestant], torch.Tensor]:
    """The same network and batch in both memory formats, and the label (B, x, y, z) of the batch."""
    settings = PRESETS[preset]
    factor = shape_factor(_SPACING, stage_count=len(settings.network.blocks_down))
    scan = _TYPICAL_SCAN if preset == "small" else (512, 512, 512)
    size = patch_size(scan, spacing=_SPACING, factor=factor, budget=settings.training.patch_voxels)
    batch = settings.training.batch_size
    torch.manual_seed(seed)
    image = torch.randn((batch, 1, *size), device=device)
    label = torch.randint(_CLASSES + 1, (batch, *size), device=device)
    formats = {"default": torch.contiguous_format, "channels last": torch.channels_last_3d}
    contestants = []
    for name, memory_format in formats.items():
        torch.manual_seed(seed)
        network = build_network(settings.network, class_count=_CLASSES, spacing=_SPACING)
        contestants.append(
            Contestant(
                name,
                network.to(device=device, memory_format=memory_format).train(),
                image.to(memory_format=memory_format),
            )
        )
    return contestants, label


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Time of one optimiser step in two memory formats.")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    device = choose_device(arguments.device)
    contestants, label = make_contestants(arguments.preset, device, arguments.seed)
    warm_up = 2
    for _ in range(arguments.steps + warm_up):
        for contestant in contestants:
            contestant.step(label)
    first = [contestant.losses[0] for contestant in contestants]
    if abs(first[0] - first[1]) > 0.01 * first[0]:
        raise SystemExit(f"the first losses differ: {first[0]:.5f} and {first[1]:.5f}")

    precision = "bfloat16" if computes_bfloat16(device) else "float32"
    size = "x".join(str(length) for length in label.shape[1:])
    where = f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type
    table = Table(title=f"{arguments.preset}: a batch of {len(label)} patches of {size}, {precision}, {where}")
    table.add_column("memory format")
    for heading in ("best, ms", "median, ms", "speed-up (medians)"):
        table.add_column(heading, justify="right")
    medians = [statistics.median(contestant.seconds[warm_up:]) for contestant in contestants]
    for contestant, median in zip(contestants, medians, strict=True):
        best = min(contestant.seconds[warm_up:])
        table.add_row(contestant.name, f"{best * 1000:.0f}", f"{median * 1000:.0f}", f"{medians[0] / median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
