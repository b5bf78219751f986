"""Occupied ground of a zone minus what the control zones did in the same years. Pure.

What weather, crops or the instrument do to all ground they do to the controls: the zone is held against what it
would be had its ground changed by the controls' share since their first common year.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from pipeline.compare import Z95, adequate
from pipeline.types import Measurement, Zone

METRIC = "footprint_area_m2"
EFFECT = "footprint_area_minus_control_m2"


def minus_control(measurements: Sequence[Measurement], zones: Sequence[Zone]) -> list[Measurement]:
    """Effect rows of every zone that is no control, in the years in which it and every control is adequate.

    Parameters
    ----------
    measurements : Sequence[Measurement]
        All zones, metrics and years of a site.
    zones : Sequence[Zone]

    Returns
    -------
    list[Measurement]
        ``value_t - k control_t`` in m2 with k = zone over control in the first common year, so that the first
        value is 0. Empty without controls, where the controls' ground is within its own interval, or where
        the zone has none to scale by.
    """
    rows = {(m.zone_id, m.year): m for m in measurements if m.metric == METRIC and adequate(m) and m.sigma}
    controls = [zone.zone_id for zone in zones if zone.role == "control"]
    found = []
    for zone in zones if controls else ():
        if zone.role == "control":
            continue
        every = (zone.zone_id, *controls)
        years = sorted(y for z, y in rows if z == zone.zone_id and all((other, y) in rows for other in every))
        if years:
            found += _effect([rows[zone.zone_id, y] for y in years], [[rows[c, y] for c in controls] for y in years])
    return found


def _effect(of_zone: Sequence[Measurement], of_controls: Sequence[Sequence[Measurement]]) -> list[Measurement]:
    """Subtract the scaled controls from one zone, year by year."""
    totals = [sum(c.value or 0.0 for c in year) for year in of_controls]
    sigmas = [math.hypot(*(c.sigma or 0.0 for c in year)) for year in of_controls]
    base = of_zone[0].value or 0.0
    if base <= 0 or totals[0] <= Z95 * sigmas[0]:
        return []
    k = base / totals[0]
    return [
        replace(
            row,
            metric=EFFECT,
            value=(row.value or 0.0) - k * total,
            sigma=math.hypot(row.sigma or 0.0, k * sigma),
            reason=None,
        )
        for row, total, sigma in zip(of_zone, totals, sigmas, strict=True)
    ]
