"""One unit for all numbers that stand together, so that they can be compared at sight. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.products.rounding import Shown, display_unit, known, show


@dataclass(frozen=True)
class Scale:
    """What numbers of a unit are divided by, and the name of the unit they are then shown in."""

    divisor: float
    unit: str

    @classmethod
    def of(cls, unit: str, numbers: Iterable[float | None]) -> "Scale":
        """Return the scale of numbers in ``unit``: areas in hectares from the largest, else in m2."""
        finite = [n for n in map(known, numbers) if n is not None]
        return cls(*display_unit(finite, unit)) if unit.startswith("m2") else cls(1.0, unit)

    def show(
        self, value: float | None, lo95: float | None = None, hi95: float | None = None, *, signed: bool = False
    ) -> Shown:
        """Print a value and its interval as :func:`~pipeline.products.rounding.show` does, in this unit."""
        mean, low, high = (None if n is None else n / self.divisor for n in (value, lo95, hi95))
        return show(mean, low, high, self.unit, signed=signed)
