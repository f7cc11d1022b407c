"""Pixels of a DICOM segmentation, frame by frame, however they are stored."""

from collections.abc import Callable, Iterator

import numpy as np
from highdicom.frame import decode_frame
from pydicom import Dataset
from pydicom.encaps import generate_pixel_data_frame

from lib.errors import InputError


def segmentation_frames(dataset: Dataset, *, where: str) -> Iterator[np.ndarray]:
    """Decode the frames of a segmentation one after the other.

    Uncompressed pixels of one bit are packed over the borders of frames, as the standard has it,
    unless PixelData has exactly the length of frames that are each filled up to whole bytes, as
    some viewers write them. Where both have the same length, as for one frame, it is the standard.

    Args:
        dataset: with 1, 8 or 16 bits allocated, native or compressed.
        where: names the segmentation in messages.

    Yields:
        Each frame, shape (rows, columns), uint8 or uint16.

    Raises:
        InputError: the pixels are missing, have a wrong length, or cannot be decoded.
    """
    if not dataset.get("PixelData"):
        raise InputError(f"{where}: has no pixels; export the segmentation again")
    try:
        frame = (
            _compressed_decoder(dataset)
            if dataset.file_meta.TransferSyntaxUID.is_compressed
            else _native_decoder(dataset)
        )
        for index in range(int(dataset.NumberOfFrames)):
            yield frame(index)
    except Exception as error:  # decoders raise whatever they meet
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{where}: its pixels cannot be decoded ({reason}); export the segmentation again, uncompressed"
        ) from error


def _native_decoder(dataset: Dataset) -> Callable[[int], np.ndarray]:
    bits, count, shape = int(dataset.BitsAllocated), int(dataset.NumberOfFrames), (dataset.Rows, dataset.Columns)
    size = shape[0] * shape[1]
    stride = _bits_per_frame(bits, size, count, len(dataset.PixelData))
    data = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"

    def frame(index: int) -> np.ndarray:
        first, last = index * stride, index * stride + size * bits
        content = data[first // 8 : -(-last // 8)]
        if bits > 1:
            return content.view(f"{order}u{bits // 8}").reshape(shape)
        return np.unpackbits(content, bitorder="little")[first % 8 :][:size].reshape(shape)

    return frame


def _bits_per_frame(bits: int, size: int, count: int, length: int) -> int:
    """Bits from the beginning of a frame to that of the next."""
    if bits not in (1, 8, 16):
        raise ValueError(f"{bits} bits a pixel, 1, 8 or 16 would be right")
    for stride in (size * bits, -(-size * bits // 8) * 8):
        whole = -(-count * stride // 8)
        if length in (whole, whole + whole % 2):
            return stride
    raise ValueError(f"{length} bytes, {-(-count * size * bits // 8)} would be right")


def _compressed_decoder(dataset: Dataset) -> Callable[[int], np.ndarray]:
    bits, shape = int(dataset.BitsAllocated), (int(dataset.Rows), int(dataset.Columns))
    # A frame of single bits is compressed as the bytes that it is packed into.
    stored = shape if bits > 1 else (1, -(-shape[0] * shape[1] // 8))
    encoded = generate_pixel_data_frame(dataset.PixelData, int(dataset.NumberOfFrames))

    def frame(_: int) -> np.ndarray:
        pixels = decode_frame(
            next(encoded),
            transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
            rows=stored[0],
            columns=stored[1],
            samples_per_pixel=1,
            bits_allocated=max(bits, 8),
            bits_stored=max(bits, 8),
            photometric_interpretation="MONOCHROME2",
        )
        if bits > 1:
            return pixels
        return np.unpackbits(pixels.ravel(), bitorder="little")[: shape[0] * shape[1]].reshape(shape)

    return frame
