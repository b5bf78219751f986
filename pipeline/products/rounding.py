"""Numbers into text: rounding that never hides a sign and never moves an interval across 0.

Pure. An interval sets how many digits are shown: two of its half-width. Its bounds are rounded outwards, the
lower one down and the upper one up, so that what is printed never claims more than what was measured; the value
is rounded to the nearest. A number that would then read 0 though it is not gets as many digits as its first
one needs, so what is printed lies on the same side of 0 as what was measured.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

M2_PER_HA = 10_000.0
ABSENT = "–"
"""Shown where a number was not computed; the legend of every table says so."""

# Wide enough for any float written out in full: quantize never meets its limit.
_EXACT = Context(prec=800)
_NOISE = Decimal("1e-9")
"""Share of a number by which arithmetic in floats may miss a round one: 1.1300000000000001 is 1.13, not above it."""
_SIGNIFICANT = 3
_SMALLEST_EXPONENT = -6


@dataclass(frozen=True)
class Shown:
    """A quantity as printed: value and interval (without unit), and the unit."""

    value: str
    interval: str
    unit: str

    @property
    def value_with_unit(self) -> str:
        """``1.26 ha``, or the dash alone when there is no value."""
        return self.value if self.value == ABSENT or not self.unit else f"{self.value} {self.unit}"

    @property
    def interval_with_unit(self) -> str:
        """``0.98 to 1.54 ha``, or the dash alone when there is no interval."""
        return self.interval if self.interval == ABSENT or not self.unit else f"{self.interval} {self.unit}"


def known(number: float | None) -> float | None:
    """Return the number, or None when it is None, NaN or infinite: no data is never printed as a number."""
    return number if number is not None and math.isfinite(number) else None


def display_unit(numbers: list[float], unit: str) -> tuple[float, str]:
    """Divisor and name of the unit shown: hectares from 1 ha on, square metres below, else as given."""
    if not unit.startswith("m2"):
        return 1.0, "" if unit in ("count", "1") else unit
    rest = unit.removeprefix("m2").replace("/yr", " per year").replace("/year", " per year")
    if max(map(abs, numbers), default=0.0) >= M2_PER_HA:
        return M2_PER_HA, f"ha{rest}"
    return 1.0, f"m²{rest}"


def decimals_for(value: float, half_width: float | None) -> int:
    """Digits after the point (negative: tens, hundreds): two of the interval's half-width, or three of the value."""
    if half_width is None or half_width <= 0:
        return 0 if value == 0 else _SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    return 1 - math.floor(math.log10(half_width))


def rounded(number: float, decimals: int, towards: str = ROUND_HALF_EVEN) -> Decimal:
    """Round at ``decimals``, to even or ``towards`` one side; what is not 0 never becomes 0, it keeps its first digit.

    Parameters
    ----------
    number : float
        Finite.
    decimals : int
        Digits after the point.
    towards : str
        Rounding of :mod:`decimal`: ``ROUND_FLOOR`` for a lower bound, ``ROUND_CEILING`` for an upper one.
    """
    exact = Decimal(repr(float(number)))

    def at(exponent: int, rounding: str) -> Decimal:
        return exact.quantize(Decimal(1).scaleb(exponent), rounding=rounding, context=_EXACT)

    near = at(-decimals, ROUND_HALF_EVEN)
    near = near if abs(near - exact) <= _NOISE * abs(exact) else at(-decimals, towards)
    if exact != 0 and 0 in (near, at(-decimals, ROUND_HALF_EVEN)):
        return at(exact.adjusted(), towards)
    return near


def written(number: Decimal, signed: bool) -> str:
    """Write a decimal in full, thousands set apart, with a true minus sign, and a plus when ``signed``."""
    size = abs(number)
    digits = f"{size:e}" if size and size.adjusted() < _SMALLEST_EXPONENT else f"{size:,f}"
    if number == 0:
        return digits
    if number < 0:
        return f"−{digits}"
    return f"+{digits}" if signed else digits


def show(
    value: float | None, lo95: float | None = None, hi95: float | None = None, unit: str = "m2", *, signed: bool = False
) -> Shown:
    """Print a value and its 95 % interval at the digits the interval supports.

    Parameters
    ----------
    value, lo95, hi95 : float or None
        In ``unit``; None, NaN and infinity are no data.
    unit : str
        ``m2`` (shown in m² or ha), ``count``, or any other (shown as it is).
    signed : bool
        Whether a plus sign is written: differences.

    Returns
    -------
    Shown
        The dash where there is no number. The printed numbers keep order and sign; the printed interval holds the
        whole of the one given.
    """
    value, lo95, hi95 = known(value), known(lo95), known(hi95)
    numbers = [n for n in (value, lo95, hi95) if n is not None]
    divisor, name = display_unit(numbers, unit)
    if not numbers:
        return Shown(ABSENT, ABSENT, name)
    half = None if lo95 is None or hi95 is None else (hi95 / divisor - lo95 / divisor) / 2.0
    largest = max(map(abs, numbers)) / divisor
    decimals = decimals_for(largest, half)

    def text(number: float | None, towards: str = ROUND_HALF_EVEN) -> str:
        if number is None:
            return ABSENT
        digits = (0 if number.is_integer() else 1) if name == "" else decimals
        return written(rounded(number / divisor, digits, towards), signed)

    held = lo95 is not None and hi95 is not None
    interval = f"{text(lo95, ROUND_FLOOR)} to {text(hi95, ROUND_CEILING)}" if held else ABSENT
    return Shown(text(value), interval, name)


def show_probability(probability: float | None, threshold: float | None = None) -> str:
    """Print p or q with three decimals, or as many as keep it on its side of ``threshold`` (q <= 0.10)."""
    probability = known(probability)
    if probability is None:
        return ABSENT
    smallest = 0.001
    if probability < smallest and (threshold is None or threshold >= smallest):
        return "< 0.001"
    for decimals in range(3, 18):
        text = f"{probability:.{decimals}f}"
        if threshold is None or (float(text) <= threshold) == (probability <= threshold):
            return text
    return repr(probability)


def show_percent(fraction: float | None) -> str:
    """Print a fraction of one as a whole percentage; some but under 1 % and all but 1 % stay visible."""
    fraction = known(fraction)
    if fraction is None:
        return ABSENT
    percent = fraction * 100.0
    if 0.0 < percent < 1.0:
        return "< 1 %"
    if 99.0 < percent < 100.0:  # noqa: PLR2004 - a percentage is out of 100
        return "> 99 %"
    return f"{percent:.0f} %"


def show_metres(length_m: float | None) -> str:
    """Print a length or shift in metres with one decimal."""
    length_m = known(length_m)
    return ABSENT if length_m is None else written(rounded(length_m, 1), signed=False)
