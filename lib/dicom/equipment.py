"""What DICOM objects say about the program that made them."""

from importlib.metadata import PackageNotFoundError, version

_PRODUCT = "Calibrated ensemble"


def _version() -> str:
    try:
        return version("calibrated-ensemble")
    except PackageNotFoundError:
        # The server finds the app's checkout by its path, whether or not it is installed.
        return "not installed"


EQUIPMENT = {
    "manufacturer": _PRODUCT,
    "manufacturer_model_name": _PRODUCT,
    "software_versions": _version(),
    "device_serial_number": "0",
}
"""Arguments of every highdicom object."""
