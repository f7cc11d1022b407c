"""A colour of the screen in CIELab, in which DICOM recommends colours."""

import numpy as np

# From linear sRGB to CIE XYZ of the white point D65 (IEC 61966-2-1; primaries of ITU-R BT.709).
_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def cielab(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """Convert an sRGB colour to CIE 1976 L*a*b*.

    The white point is D65, as viewers take it, though DICOM's profile connection space has D50.

    Args:
        colour: red, green, blue, 0..255.

    Returns:
        L* from 0 to 100, a* and b*.
    """
    encoded = np.array(colour) / 255
    linear = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    x, y, z = _lightness_response(_TO_XYZ @ linear / _WHITE)
    return float(116 * y - 16), float(500 * (x - y)), float(200 * (y - z))


def _lightness_response(relative: np.ndarray) -> np.ndarray:
    """The cube root of CIE 15, linear near black."""
    return np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
