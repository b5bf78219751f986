"""Time and area error of one outline, beside what a fixed threshold makes of the same pixels.

    python -m benchmarks.outline [piles of each size and ground]

The peer counts the pixels darker than V = 0.08 that are connected to the pile (scikit-image), the usual way
to get an area from an index. It is the floor: what the outline costs more it must be worth in error.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from skimage.measure import label

from benchmarks.implants import BANDS, GROUNDS, PIXEL_M, Implant, heap, implant
from models._delineate import outline, place_of

SIZES_HA = (0.2, 0.5, 1.0, 2.0, 4.0)
PEER_BRIGHTNESS = 0.08
ASPECTS = (1.0, 1.5, 2.5, 4.0)


def by_outline(pile: Implant) -> float | None:
    """Area of the pile's outline, m2; None when it is refused."""
    clear, nothing = np.ones(pile.member.shape, dtype=bool), np.zeros(pile.member.shape, dtype=bool)
    drawn = outline(pile.bands, clear, place_of(pile.member, nothing), 0.5)
    return None if drawn is None else float(drawn.geometry.area) * PIXEL_M**2


def by_threshold(pile: Implant) -> float | None:
    """Area of the dark pixels connected to the pile, m2."""
    dark = np.mean([pile.bands[band] for band in BANDS], axis=0) < PEER_BRIGHTNESS
    labels = label(dark, connectivity=2)
    own = np.unique(labels[pile.member & dark])
    return float(np.isin(labels, own[own > 0]).sum()) * PIXEL_M**2


def timed(way: Callable[[Implant], float | None], piles: list[Implant]) -> tuple[float, list[float]]:
    """Median milliseconds for a pile, and the relative area errors of those that got one."""
    times, errors = [], []
    for pile in piles:
        start = time.perf_counter()
        area = way(pile)
        times.append(1e3 * (time.perf_counter() - start))
        if area is not None:
            errors.append(area / pile.area_m2 - 1)
    return statistics.median(times), errors


def main(count: int) -> None:
    """Print a row for every size: time, bias and mean absolute error of both ways."""
    print(f"{'':>6} {'':>5}   {'outline':^32}   {'V < 0.08, pixels counted':^32}")
    print(f"{'ha':>6} {'piles':>5}   " + "   ".join([f"{'ms':>6} {'bias %':>8} {'MAE %':>7} {'none':>8}"] * 2))
    for size_ha in SIZES_HA:
        piles = []
        for number, ground in enumerate(GROUNDS.values()):
            for draw in range(count):
                rng = np.random.default_rng([int(size_ha * 10), number, draw])
                aspect = ASPECTS[draw // 2 % len(ASPECTS)]
                shape = heap(size_ha * 1e4, aspect, rng.uniform(0, 360), lobed=draw % 2 == 1)
                piles.append(implant(shape, ground, rng))
        row = f"{size_ha:6.1f} {len(piles):5d}"
        for way in (by_outline, by_threshold):
            ms, errors = timed(way, piles)
            bias, spread = 100 * statistics.median(errors), 100 * float(np.mean(np.abs(errors)))
            row += f"   {ms:6.1f} {bias:8.1f} {spread:7.1f} {len(piles) - len(errors):8d}"
        print(row)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
