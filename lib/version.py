"""The version of this program."""

from importlib.metadata import PackageNotFoundError, version

PACKAGE = "calibrated-ensemble"
"""Name under which it is installed."""


def package_version(package: str = PACKAGE) -> str:
    """Version of an installed package; "not installed" for one that is found by its path alone.

    The server finds the app's checkout by its path, whether or not it is installed.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
