"""What DICOM objects say about the program that made them."""

from importlib.metadata import version

_PRODUCT = "Calibrated ensemble"

EQUIPMENT = {
    "manufacturer": _PRODUCT,
    "manufacturer_model_name": _PRODUCT,
    "software_versions": version("calibrated-ensemble"),
    "device_serial_number": "0",
}
"""Arguments of every highdicom object."""
