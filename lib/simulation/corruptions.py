"""Scans as scanners spoil them, always the same way for the same scan."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from monai.transforms import AdjustContrast, RandBiasField, RandGaussianNoise, Resize, Rotate
from scipy.ndimage import gaussian_filter

from lib.images.volume import Volume
from lib.task.task import Modality

# Grey values outside are as rare as metal and must not set the strength.
_GREY_RANGE = (0.5, 99.5)

_SEED = 0


@dataclass(frozen=True)
class Corrupted:
    """A corrupted scan, all of it on the grid of the original.

    Attributes:
        scan: grey values, float32.
        label: class indices; turned with the scan where that was rotated, else as they were.
        region: the region mask, treated like the label.
    """

    scan: Volume
    label: Volume
    region: Volume | None


def corrupt(scan: Volume, label: Volume, region: Volume | None, *, name: str, modality: Modality) -> Corrupted:
    """Corrupt a scan in one of the ways of its modality; way and strength follow from its name.

    Args:
        scan: finite grey values, float32 (x, y, z).
        label: class indices, uint8 (x, y, z).
        region: mask on the same grid, or None.
        name: of the scan.
        modality: CT scans have no bias field, no free grey scale, and no ghosts along a phase axis.
    """
    rng = _random(name)
    kind = _drawn(rng, modality)
    if kind == "rotation":
        angles = _angles(rng)
        return Corrupted(
            _rotated(scan, angles, nearest=False),
            _rotated(label, angles, nearest=True),
            None if region is None else _rotated(region, angles, nearest=True),
        )
    grey = _CORRUPTIONS[kind](scan, rng)
    return Corrupted(Volume(grey.astype(np.float32), scan.affine), label, region)


def corruption_kind(name: str, *, modality: Modality) -> str:
    """Say in which way `corrupt` corrupts the scan of this name, one of `KINDS`."""
    return _drawn(_random(name), modality)


def _random(name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{_SEED}:{name}".encode(errors="surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _drawn(rng: np.random.Generator, modality: Modality) -> str:
    return KINDS[modality][rng.integers(len(KINDS[modality]))]


def _noise(scan: Volume, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of 5 to 15 % of the grey range."""
    low, high = np.percentile(scan.array, _GREY_RANGE)
    noise = RandGaussianNoise(prob=1, std=rng.uniform(0.05, 0.15) * (high - low), sample_std=False)
    return _applied(_seeded(noise, rng), scan.array)


def _blur(scan: Volume, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur, a voxel of the finest axis or more in standard deviation, equal in millimetres."""
    sigma = rng.uniform(1.0, 1.5) * min(scan.spacing)
    # MONAI's would darken the borders, which crops have close to what is segmented.
    return gaussian_filter(scan.array, [sigma / step for step in scan.spacing], mode="nearest")


def _thick_slices(scan: Volume, rng: np.random.Generator) -> np.ndarray:
    """Slices 2 to 4 times as thick along the coarsest axis: averages, with straight lines between them."""
    axis = int(np.argmax(scan.spacing))
    size = list(scan.shape)
    size[axis] = max(1, round(size[axis] / rng.uniform(2, 4)))
    thick = _applied(Resize(size, mode="area"), scan.array)
    return _applied(Resize(scan.shape, mode="trilinear"), thick)


def _bias_field(scan: Volume, rng: np.random.Generator) -> np.ndarray:
    """A smooth field by which grey values, counted from the darkest, are multiplied."""
    field = _seeded(RandBiasField(degree=3, coeff_range=(-0.3, 0.3), prob=1), rng)
    low = float(scan.array.min())
    return _applied(field, scan.array - low) + low


def _gamma(scan: Volume, rng: np.random.Generator) -> np.ndarray:
    """Grey values to a power of 0.5 to 0.7 or 1.4 to 2, between the darkest and the brightest."""
    return _applied(AdjustContrast(gamma=float(2 ** (rng.uniform(0.5, 1) * rng.choice([-1, 1])))), scan.array)


def _ghosting(scan: Volume, rng: np.random.Generator) -> np.ndarray:
    """Faint copies of the patient, as from breathing: every n-th line of k-space is weaker.

    The phase axis is the first or second one, n is 2 to 4, and the lines lose 50 to 90 %. The lines
    around the centre of k-space, which carry the contrast, stay.
    """
    axis, step = int(rng.integers(2)), int(rng.integers(2, 5))
    size = scan.shape[axis]
    frequency = np.fft.fftfreq(size) * size
    weaker = (np.arange(size) % step == 0) & (np.abs(frequency) > size / 20)
    gain = np.where(weaker, 1 - rng.uniform(0.5, 0.9), 1.0)
    lines = np.fft.fft(scan.array, axis=axis) * np.expand_dims(gain, [other for other in range(3) if other != axis])
    return np.abs(np.fft.ifft(lines, axis=axis))


def _angles(rng: np.random.Generator) -> list[float]:
    """Radians about each axis: 8 to 15 degrees to either side."""
    return (np.radians(rng.uniform(8, 15, 3)) * rng.choice([-1, 1], 3)).tolist()


def _rotated(volume: Volume, angles: list[float], *, nearest: bool) -> Volume:
    """Turn a volume about its centre in voxels of its finest axis, so that millimetres stay millimetres."""
    finest = min(volume.spacing)
    cubic = [max(1, round(size * step / finest)) for size, step in zip(volume.shape, volume.spacing, strict=True)]
    mode = "nearest" if nearest else "bilinear"
    there = Resize(cubic, mode="nearest-exact" if nearest else "trilinear")
    back = Resize(volume.shape, mode="nearest-exact" if nearest else "trilinear")
    turn = Rotate(angles, keep_size=True, mode=mode, padding_mode="zeros" if nearest else "border")
    turned = _applied(back, _applied(turn, _applied(there, volume.array)))
    return Volume(turned.astype(volume.array.dtype), volume.affine)


def _seeded(transform: RandGaussianNoise | RandBiasField, rng: np.random.Generator) -> Callable:
    return transform.set_random_state(seed=int(rng.integers(2**31)))


def _applied(transform: Callable, array: np.ndarray) -> np.ndarray:
    """Apply a transform of MONAI to one channel."""
    return torch.as_tensor(transform(torch.from_numpy(array.astype(np.float32))[None]))[0].numpy()


_CORRUPTIONS: dict[str, Callable[[Volume, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "blur": _blur,
    "thick_slices": _thick_slices,
    "bias_field": _bias_field,
    "gamma": _gamma,
    "ghosting": _ghosting,
}

KINDS: dict[Modality, tuple[str, ...]] = {
    Modality.CT: ("noise", "blur", "thick_slices", "rotation"),
    Modality.MR: ("noise", "blur", "thick_slices", "bias_field", "gamma", "ghosting", "rotation"),
}
"""What each modality does to scans."""
