"""The trained balls of the tests of `lib`."""

from tests.lib.conftest import balls, trained

__all__ = ["balls", "trained"]
