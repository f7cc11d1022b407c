"""Where a NIfTI header says that its voxels lie. It can say so twice, and then has to say the same."""

from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from lib.errors import InputError
from lib.images.grid_distance import SAME_GRID, corner_distance

# Spatial part of xyzt_units to millimetres; what is none of these is taken for millimetres, as by ITK.
_MILLIMETRES = {1: 1000.0, 3: 0.001}
_KNOWN_CODES = range(6)
_SPATIAL_UNITS = 0b111
_KEPT = (
    "qform_code",
    "sform_code",
    *("quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z"),
)
"""Fields of a header, beside sizes and units, that place its voxels."""


@dataclass(frozen=True, eq=False)
class NiftiForms:
    """Everything in a header that places its voxels, as it stands there.

    A file with the same forms lies where the scan lies in every program, by whatever rules that reads them.

    Attributes:
        fields: qform and sform with their codes, by the names that NIfTI has for them.
        sizes: pixdim[0..3]: the handedness of the qform, and the sizes of a voxel.
        unit: spatial part of xyzt_units.
    """

    fields: dict[str, np.ndarray]
    sizes: np.ndarray
    unit: int

    @classmethod
    def of(cls, header: Any) -> "NiftiForms":
        """Take the forms of a header, NIfTI-1 or NIfTI-2, which must be as it is in the file."""
        fields = {name: np.array(header[name], dtype=np.float64) for name in _KEPT}
        return cls(fields, np.array(header["pixdim"][:4], np.float64), int(header["xyzt_units"]) & _SPATIAL_UNITS)

    def put_into(self, header: Any) -> None:
        """Give a header these forms; its other fields stay."""
        for name, value in self.fields.items():
            header[name] = value
        header["pixdim"][:4] = self.sizes
        header["xyzt_units"] = self.unit

    def affine(self, shape: tuple[int, ...], *, where: str) -> np.ndarray:
        """Give where the voxels lie, (4, 4) to RAS millimetres: by the sform if its code is not 0, else by the qform.

        Args:
            shape: voxels along x, y and z.
            where: names the file in messages.

        Raises:
            InputError: programs disagree about the place: both codes are 0, sizes are not positive, or sform, qform
                and sizes put a corner more than 0.1 voxel apart.
        """
        self._check_fields(where)
        header = nib.Nifti2Header()
        self.put_into(header)
        header["pixdim"][0] = self.sizes[0] or 1
        sform = header.get_sform(coded=True)[0]
        qform = header.get_qform(coded=True)[0]
        if sform is not None:
            _check_sizes(sform, self.sizes[1:], shape, where)
        if sform is not None and qform is not None:
            _check_alike(qform, sform, shape, where)
        affine = qform if sform is None else sform
        return np.diag([*[_MILLIMETRES.get(self.unit, 1.0)] * 3, 1.0]) @ affine

    def _check_fields(self, where: str) -> None:
        codes = [int(self.fields[name]) for name in ("qform_code", "sform_code")]
        if not any(codes):
            raise InputError(
                f"{where}: has neither qform nor sform (both codes are 0), so that nobody can tell left from right; "
                "export it again with its orientation"
            )
        if not set(codes) <= set(_KNOWN_CODES):
            raise InputError(f"{where}: has the qform code {codes[0]} and the sform code {codes[1]}; give 0 to 5")
        if not (np.isfinite(self.sizes).all() and (self.sizes[1:] > 0).all() and self.sizes[0] in (-1, 0, 1)):
            raise InputError(
                f"{where}: has the pixdim {_numbers(self.sizes)}, which programs read differently; "
                "give 1 or -1 and then sizes above 0"
            )


def _check_sizes(sform: np.ndarray, sizes: np.ndarray, shape: tuple[int, ...], where: str) -> None:
    spacing = np.linalg.norm(sform[:3, :3], axis=0)
    with np.errstate(all="ignore"):  # an axis without length, or with an endless one, is far from any size
        apart = float((np.abs(sizes / spacing - 1) * shape).max())
    if not apart <= SAME_GRID:
        raise InputError(
            f"{where}: its sform has voxels of {_numbers(spacing)}, its pixdim of {_numbers(sizes)}, and programs take "
            "the one or the other; write the right sizes into both"
        )


def _check_alike(qform: np.ndarray, sform: np.ndarray, shape: tuple[int, ...], where: str) -> None:
    apart = corner_distance(qform, sform, shape)
    if apart > SAME_GRID:
        raise InputError(
            f"{where}: its qform and its sform lie up to {apart:.3g} voxels apart, and programs take the one or the "
            "other; make them alike, or set the code of the wrong one to 0"
        )


def _numbers(values: np.ndarray) -> str:
    return " x ".join(f"{value:.6g}" for value in values)
