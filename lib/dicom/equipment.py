"""What DICOM objects say about the program that made them."""

from lib.version import package_version

_PRODUCT = "Calibrated ensemble"

EQUIPMENT = {
    "manufacturer": _PRODUCT,
    "manufacturer_model_name": _PRODUCT,
    "software_versions": package_version(),
    "device_serial_number": "0",
}
"""Arguments of every highdicom object."""
