"""How much of a zone the maps of a year show: whether a year is adequate rests on it, before any ground is measured."""

from pathlib import Path

from pipeline.grid import burn
from pipeline.maps import read_map
from pipeline.passes.history import strips
from pipeline.types import Grid, Zone


def seen_shares(maps: Path, zone: Zone, grid: Grid, min_dates: int) -> tuple[float, float]:
    """Share of a zone that a year shows on enough dates, for ground and for piles.

    Parameters
    ----------
    maps : Path
        Of the year.
    zone : Zone
    grid : Grid
    min_dates : int
        Fewer clear dates of the stockpile windows do not show a pixel.

    Returns
    -------
    tuple of float
        As :func:`pipeline.passes.ground.measure_year` has them; 0 of a zone that holds no pixel.
    """
    inside = burn(zone.geometry, grid)
    pixels, ground, stock = int(inside.sum()), 0, 0
    for at in strips(grid.height):
        ground += int((inside[at] & read_map(maps, "ground_seen", at)).sum())
        stock += int((inside[at] & (read_map(maps, "clear", at) >= min_dates)).sum())
    return (round(ground / pixels, 4), round(stock / pixels, 4)) if pixels else (0.0, 0.0)
