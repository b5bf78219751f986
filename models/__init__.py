"""What is measured: arrays in, arrays out. Knows no file, no network, no dask and no sensor's name.

A model is a module of this folder that has ``MODEL``; helpers start with an underscore. Reflectance is
float32 of 0-1 with NaN for no data; masks are bool with True meaning "is".
"""

import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Model:
    """What a model is called in the products, and what it measures.

    Attributes
    ----------
    name, version : str
        Joined they are the ``method`` of every number it makes.
    measures : str
        One line.
    bands : tuple of str
        Common names it needs.
    """

    name: str
    version: str
    measures: str
    bands: tuple[str, ...]

    @property
    def method(self) -> str:
        """Name and version, as written beside a number."""
        return f"{self.name} {self.version}"


def available() -> tuple[str, ...]:
    """Names of the models: the modules of this folder that do not start with an underscore."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str) -> ModuleType:
    """Return the module of a model.

    Raises
    ------
    KeyError
        No model of that name.
    """
    if name not in available():
        raise KeyError(f"no model {name!r}; there are {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
