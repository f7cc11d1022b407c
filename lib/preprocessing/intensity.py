"""Grey values to mean 0 and standard deviation 1."""

import numpy as np

from lib.preprocessing.plan import FixedWindow, PerScan


def normalised(array: np.ndarray, intensity: FixedWindow | PerScan) -> np.ndarray:
    """Clip grey values and bring them to mean 0 and standard deviation 1 (paper, section 3.2).

    Args:
        array: finite grey values, any shape.
        intensity: the window and z-score for all scans, or the percentiles for each by itself.

    Returns:
        float32, same shape. A constant scan becomes 0 everywhere under `PerScan`.
    """
    if isinstance(intensity, FixedWindow):
        clipped = np.clip(array.astype(np.float64), intensity.low, intensity.high)
        return ((clipped - intensity.mean) / intensity.sd).astype(np.float32)
    low, high = np.percentile(array, intensity.percentiles).astype(np.float64)
    if low == high:
        # Nearly all voxels are equal, black for instance: what differs is the content.
        low, high = float(array.min()), float(array.max())
    if low == high:
        return np.zeros(array.shape, dtype=np.float32)
    # Relative to the window, so that no square leaves the range of the numbers.
    clipped = (np.clip(array.astype(np.float64), low, high) - low) / (high - low)
    return ((clipped - clipped.mean()) / clipped.std()).astype(np.float32)
