"""What certainly changed of occupied ground between two years.

The difference of two outlines is mostly noise and misregistration (science 3.4-3.5), so only ground
beyond the positional noise is a certain gain, only where it is new, lasts and is no shore; and even that is
held against what unchanged ground shows (:mod:`pipeline.measure`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from models._uncertainty import outline_sigma_m2
from pipeline.config import Config
from pipeline.findings import Advance, BoundaryPiece
from pipeline.grid import burn
from pipeline.outlines import polygons_only, to_polygons
from pipeline.passes.ground import STAIRCASE, beyond, positional_noise_m, zone_scale
from pipeline.passes.history import Years, bared_shore, lasting, occupied, occupied_until
from pipeline.types import PIXEL_M, Bool, Grid, Zone


@dataclass(frozen=True)
class _Change:
    """One kind of change of the whole site: its ground, how far each pixel is from the outline it left, its rim."""

    ground: BaseGeometry
    distance_m: NDArray[np.float64] | None = None
    moved: Bool | None = None
    rim: BaseGeometry | None = None


def measure_boundary(
    pair: tuple[int, int], years: Years, zones: Sequence[Zone], grid: Grid, config: Config
) -> list[BoundaryPiece]:
    """Measure gain and loss of occupied ground from an earlier to a later year in every zone.

    Gain is certain beyond the positional noise of what was occupied in the earlier year or before it, where
    an adequate year beside the later one shows the ground occupied too, and none of those that follow shows it
    green again. All other gain is possible. Shore neither gains nor loses.
    """
    (old_ground, old_seen), (new_ground, new_seen) = occupied(years, pair[0]), occupied(years, pair[1])
    # Ground unseen in either year has neither gained nor lost.
    seen = old_seen & new_seen
    before, after = old_ground & seen, new_ground & seen
    known = occupied_until(years, pair[0])
    stays = lasting(years, pair, config.boundary.lasting_years)
    eps = positional_noise_m(config.boundary)
    old, new, ever = (to_polygons(mask, grid) for mask in (before, after, known))
    kept = to_polygons(after & stays.kept, grid)
    gain, loss = beyond(kept, ever, eps), beyond(old, new, eps)
    changes = {
        "certain_gain": _Change(gain, _distance_m(known), after & ~known, _rim(kept, ever, eps)),
        "possible_gain": _Change(polygons_only(new.difference(old).difference(gain))),
        "certain_loss": _Change(loss, _distance_m(after), before & ~after, _rim(old, new, eps)),
        "possible_loss": _Change(polygons_only(old.difference(new).difference(loss))),
    }
    shore = to_polygons(bared_shore(years, pair), grid)
    doubts = [*(beyond(to_polygons(after & where, grid), ever, eps) for where in (stays.waiting, stays.passing)), shore]
    found = []
    for zone in zones:
        scale = zone_scale(zone, grid)
        for name, change in changes.items():
            piece = polygons_only(change.ground.intersection(zone.geometry))
            sigma = outline_sigma_m2(piece.length, PIXEL_M, config.uncertainty.c, config.boundary.sigma_edge_m)
            doubtful = doubts if name == "certain_gain" else ()
            found.append(
                BoundaryPiece(
                    zone.zone_id,
                    name,
                    piece,
                    piece.area / scale,
                    sigma,
                    _advance(change, piece, zone, grid, eps),
                    *(d.intersection(zone.geometry).area / scale for d in doubtful),
                )
            )
    return found


def _distance_m(mask: Bool) -> NDArray[np.float64]:
    """Distance to a mask's outline in metres, negative inside; infinite when the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    outside = ndimage.distance_transform_edt(~mask)
    inside = ndimage.distance_transform_edt(mask)
    return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5) * PIXEL_M)


def _rim(later: BaseGeometry, earlier: BaseGeometry, eps_m: float) -> BaseGeometry:
    """Outline of ``later`` beyond the positional noise from ``earlier``."""
    return later.boundary.difference(earlier.buffer(eps_m, quad_segs=4))


def _advance(change: _Change, piece: BaseGeometry, zone: Zone, grid: Grid, eps_m: float) -> Advance | None:
    """How far the outline moved along what certainly changed, and the length that did; None where nothing did."""
    if change.distance_m is None or change.moved is None or change.rim is None or piece.is_empty:
        return None
    # The rim a certain change leaves out is burned back in, so that the outline's pixels are whole.
    moved = change.moved & burn(zone.geometry, grid) & burn(piece.buffer(eps_m), grid)
    rim = change.distance_m[moved & ~ndimage.binary_erosion(moved)]
    far = rim[np.isfinite(rim) & (rim > eps_m)]
    if far.size == 0:
        return None
    length = float(change.rim.intersection(zone.geometry).length) * STAIRCASE
    return Advance(float(np.median(far)), float(np.quantile(far, 0.9)), float(far.max()), length)
