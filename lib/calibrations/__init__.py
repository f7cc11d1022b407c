"""All calibrations by their names: every file of this package holds one, and a new file is all a new one needs."""

import pkgutil
from importlib import import_module

from lib.calibration import Calibration


def _calibration_in(module_name: str) -> type[Calibration]:
    module = import_module(f"{__name__}.{module_name}")
    # A class that a module imports is at home in another.
    own = (value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__)
    (found,) = (value for value in own if isinstance(value, type) and issubclass(value, Calibration))
    return found


CALIBRATIONS: dict[str, type[Calibration]] = {
    module.name: _calibration_in(module.name) for module in pkgutil.iter_modules(__path__)
}
