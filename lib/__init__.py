"""The method: calibrated ensembles for segmentation, usable without a server.

The names here are what notebooks and scripts may rely on; `__init__.pyi` lists them, and each is imported when it is
first used. The product itself imports from the modules that define them.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
