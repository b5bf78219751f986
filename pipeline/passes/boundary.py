"""What certainly changed of occupied ground between two years.

The difference of two outlines is mostly noise and misregistration (science 3.4-3.5), so only ground
beyond the positional noise is a certain gain, only where it is new, lasts and is no shore; and even that is
held against what unchanged ground shows (:mod:`pipeline.measure`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from shapely.geometry.base import BaseGeometry

from models._morphology import shrunk
from models._uncertainty import outline_sigma_m2
from pipeline.config import Config
from pipeline.findings import Advance, BoundaryPiece
from pipeline.kernels.zones import INSIDE
from pipeline.outlines import to_polygons
from pipeline.overlays import Laid, ZoneCutter, beyond, beyond_m2, lay, length_inside_m, pixels_near, without
from pipeline.passes.ground import STAIRCASE, positional_noise_m, zone_scale
from pipeline.passes.history import Years, bared_shore, lasting, occupied, occupied_until, strips
from pipeline.threads import hand_back
from pipeline.types import PIXEL_M, Bool, Grid, Zone

BEFORE, AFTER, KNOWN, KEPT, WAITING, PASSING, SHORE = (1 << n for n in range(7))
"""Marks of a pixel for two years: occupied in the earlier and in the later, where both saw the ground; occupied until
the earlier; what the years around say of the later one's ground; bared shore."""


@dataclass(frozen=True)
class _Change:
    """One kind of change of the whole site; of a certain one also what moved and from where.

    Attributes
    ----------
    ground : BaseGeometry
    moved : (int, int)
        Marks of the pixels that changed, with those too near to what they left to be certain: one that they bear, and
        one that they do not.
    rim : BaseGeometry or None
        Outline of a certain change, without what is shared with the ground it left.
    left : KDTree or None
        Rows and columns of the outermost pixels of the ground it left; None where there was none.
    """

    ground: BaseGeometry
    moved: tuple[int, int]
    rim: BaseGeometry | None = None
    left: KDTree | None = None


def measure_boundary(
    pair: tuple[int, int], years: Years, zones: Sequence[Zone], grid: Grid, config: Config
) -> list[BoundaryPiece]:
    """Measure gain and loss of occupied ground from an earlier to a later year in every zone.

    Gain is certain beyond the positional noise of what was occupied in the earlier year or before it, where
    an adequate year beside the later one shows the ground occupied too, and none of those that follow shows it
    green again. All other gain is possible. Shore neither gains nor loses.
    """
    marks, eps_m = _marks(pair, years, grid, config), positional_noise_m(config.boundary)
    # One after the other: outlines of a whole site and the tree of the ground they left take its memory.
    gains = _measure_zones(zones, marks, _gains(marks, grid, eps_m), grid, config)
    losses = _measure_zones(zones, marks, _losses(marks, grid, eps_m), grid, config)
    return [piece for of_zone in zip(gains, losses, strict=True) for pieces in of_zone for piece in pieces]


def _marks(pair: tuple[int, int], years: Years, grid: Grid, config: Config) -> NDArray[np.uint8]:
    """Mark every pixel by what two years and those around them say of it."""
    marks = np.zeros(grid.shape, dtype=np.uint8)
    for at in strips(grid.height):
        (before, seen_before), (after, seen_after) = (occupied(years, year, at) for year in pair)
        # Ground unseen in either year has neither gained nor lost.
        seen = seen_before & seen_after
        stays = lasting(years, pair, config.boundary.lasting_years, at)
        for mark, mask in (
            (BEFORE, before & seen), (AFTER, after & seen), (KNOWN, occupied_until(years, pair[0], at)),
            (KEPT, stays.kept), (WAITING, stays.waiting), (PASSING, stays.passing),
            (SHORE, bared_shore(years, pair, at)),
        ):  # fmt: skip
            marks[at] |= mask * np.uint8(mark)
    return marks


def _gains(marks: NDArray[np.uint8], grid: Grid, eps_m: float) -> dict[str, _Change]:
    """Find what a site gained by name."""
    before, after, known, kept = ((marks & mark) > 0 for mark in (BEFORE, AFTER, KNOWN, KEPT))
    gain, rim = beyond(after & kept, known, grid, eps_m)
    return {
        "certain_gain": _Change(gain, (AFTER, KNOWN), rim, _outermost(known)),
        "possible_gain": _Change(without(to_polygons(after & ~before, grid), gain), (AFTER, BEFORE)),
    }


def _losses(marks: NDArray[np.uint8], grid: Grid, eps_m: float) -> dict[str, _Change]:
    """Find what a site lost by name."""
    before, after = ((marks & mark) > 0 for mark in (BEFORE, AFTER))
    loss, rim = beyond(before, after, grid, eps_m)
    return {
        "certain_loss": _Change(loss, (BEFORE, AFTER), rim, _outermost(after)),
        "possible_loss": _Change(without(to_polygons(before & ~after, grid), loss), (BEFORE, AFTER)),
    }


def _measure_zones(
    zones: Sequence[Zone], marks: NDArray[np.uint8], changes: dict[str, _Change], grid: Grid, config: Config
) -> list[list[BoundaryPiece]]:
    """Measure some kinds of change in every zone."""
    found = []
    for zone in zones:
        hand_back()
        found.append(_measure_zone(zone, marks, changes, grid, config))
    return found


def _measure_zone(
    zone: Zone, marks: NDArray[np.uint8], changes: dict[str, _Change], grid: Grid, config: Config
) -> list[BoundaryPiece]:
    """Measure some kinds of change in one zone."""
    scale, eps_m = zone_scale(zone, grid), positional_noise_m(config.boundary)
    laid = lay(zone.geometry, grid)
    found = []
    for name, change in changes.items():
        piece = ZoneCutter(laid, marks, change.moved, grid).cut(change.ground)
        sigma = outline_sigma_m2(piece.length, PIXEL_M, config.uncertainty.c, config.boundary.sigma_edge_m)
        far_m = _far_m(change, piece, (laid, marks), grid, eps_m)
        advance = None
        if far_m.size and change.rim is not None:
            length_m = length_inside_m(change.rim, zone.geometry) * STAIRCASE
            p50_m, p90_m = float(np.median(far_m)), float(np.quantile(far_m, 0.9))
            advance = Advance(p50_m, p90_m, float(far_m.max()), length_m)
        doubts = _left_out_m2(laid, marks, grid, eps_m) if name == "certain_gain" else (0.0, 0.0, 0.0)
        areas_m2 = (area_m2 / scale for area_m2 in doubts)
        found.append(BoundaryPiece(zone.zone_id, name, piece, piece.area / scale, sigma, advance, *areas_m2))
    return found


def _left_out_m2(laid: Laid, marks: NDArray[np.uint8], grid: Grid, eps_m: float) -> tuple[float, float, float]:
    """Planar area of the ground of a zone that certain gain leaves out: waiting, passing, shore."""
    waiting, passing = (beyond_m2(laid, marks, (AFTER | mark, KNOWN), grid, eps_m) for mark in (WAITING, PASSING))
    return waiting, passing, beyond_m2(laid, marks, (SHORE, 0), grid, 0.0)


def _far_m(
    change: _Change, piece: BaseGeometry, of: tuple[Laid, NDArray[np.uint8]], grid: Grid, eps_m: float
) -> NDArray[np.float64]:
    """How far the outermost pixels of a certain change in a zone are from the outline it left; none of no change."""
    if change.left is None or piece.is_empty:
        return np.zeros(0)
    laid, marks = of
    bears, lacks = change.moved
    moved = pixels_near(laid, piece, grid, eps_m) & ((laid.marks & INSIDE) > 0)
    moved &= (marks[laid.at] & (bears | lacks)) == bears
    outermost = np.argwhere(moved & ~shrunk(moved)) + [span.start for span in laid.at]
    far_m = (change.left.query(outermost)[0] - 0.5) * PIXEL_M
    return np.asarray(far_m[far_m > eps_m])


def _outermost(ground: Bool) -> KDTree | None:
    """Outermost pixels of ground, to be asked how far others are from it; None of no ground."""
    return KDTree(np.argwhere(ground & ~shrunk(ground, outside=True))) if ground.any() else None
