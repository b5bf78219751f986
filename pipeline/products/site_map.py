"""What the map of the report shows: outlines with their numbers, and where each statement leads. Pure.

Coordinates are whole metres from the lower left corner of the map, each ring as its first point and the steps
from point to point: half the characters of the points themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.products.map_features import Feature, features_of
from pipeline.products.map_images import MapImages
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.statements import Statement
from pipeline.products.wording import METRICS, STATUSES, VERDICTS

MOST_CHARACTERS = 1_200_000
"""Of all outlines together: with the images they leave a page of 8 MB its tables and drawings."""
_BENDS_M = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Bends of ground that are left out, from none; the first at which the outlines fit is taken."""
_NOTE = (
    "Median composites of each year, all years with one stretch, grid north up. Short-wave infrared: bands swir22, nir "
    "and red shown as red, green and blue; growth is green, bare ground pink, dark bulk material black. The images "
    "illustrate; no number is read from them. Click an outline for its numbers."
)
_MARGIN_M = 60.0
_CLOSEST_M = 400.0
"""Least width of what a link zooms to: 40 pixels of the imagery."""
_RING_POINTS = 4

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class SiteMap:
    """Data of the map for its script, and the keys of what links of the document may show on it."""

    data: dict[str, Any]
    keys: frozenset[str]
    note: str


def site_map(results: Results, said: Sequence[Statement], images: MapImages, *, simulated: bool) -> SiteMap:
    """Gather the map of a site.

    Parameters
    ----------
    results : Results
        Geometries in metres.
    said : sequence of Statement
        What the report says first: each leads to a place on the map.
    images : MapImages
    simulated : bool
        Writes SIMULATED across the map.
    """
    features = features_of(results)
    extent = _extent(features, images)
    for bend_m in _BENDS_M:
        drawn = [_drawn(feature, extent, bend_m) for feature in features]
        if sum(len(str(one["rings"])) for one in drawn) <= MOST_CHARACTERS:
            break
    targets = {s.anchor: _target(results, s, features, extent) for s in said}
    data = {
        "size": [round(extent[2] - extent[0]), round(extent[3] - extent[1])],
        "image": _relative(images.bounds, extent) if images.bounds else None,
        "images": {look: {str(year): uri for year, uri in of.items()} for look, of in images.images.items()},
        "years": [{"year": year, "said": _year_said(results, year)} for year in results.years],
        "baseline": results.baseline_year,
        "newest": results.newest_year(),
        "features": drawn,
        "targets": targets,
        "simulated": simulated,
    }
    finer = f" Bends of occupied ground of less than {bend_m:g} m are left out of this map." if bend_m else ""
    return SiteMap(data, frozenset([*targets, *(f.key for f in features)]), _NOTE + finer)


def _extent(features: Sequence[Feature], images: MapImages) -> Box:
    """Return what the map shows, whole metres: the images and every outline."""
    boxes = [feature.geometry.bounds for feature in features]
    boxes += [images.bounds] if images.bounds else []
    if not boxes:
        return 0.0, 0.0, 1.0, 1.0
    low, high = np.floor(np.min(boxes, axis=0)), np.ceil(np.max(boxes, axis=0))
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


def _relative(box: Sequence[float], extent: Box) -> list[int]:
    return [round(box[0] - extent[0]), round(box[1] - extent[1]), round(box[2] - extent[0]), round(box[3] - extent[1])]


def _drawn(feature: Feature, extent: Box, bend_m: float) -> dict[str, Any]:
    geometry = feature.geometry
    if feature.layer in ("ground", "change"):
        geometry = shapely.simplify(geometry, bend_m)
    said = {"key": feature.key, "layer": feature.layer, "kind": feature.kind, "rings": _rings(geometry, extent)}
    years = {"years": feature.years} if feature.years is not None else {}
    return said | years | {"title": feature.title, "rows": feature.rows, "links": feature.links}


def _rings(geometry: BaseGeometry, extent: Box) -> list[list[list[int]]]:
    """Return polygons as lists of rings, each ``[x, y, dx, dy, dx, dy, ...]`` in whole metres, without its end."""
    polygons = []
    for part in shapely.get_parts(geometry):
        rings = []
        for ring in shapely.get_rings(part):
            points = np.rint(shapely.get_coordinates(ring) - extent[:2]).astype(np.int64)
            steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
            steps = steps[(steps != 0).any(axis=1) | (np.arange(len(steps)) == 0)]
            if len(steps) >= _RING_POINTS:
                rings.append(steps[:-1].ravel().tolist())
        if rings:
            polygons.append(rings)
    return polygons


def _year_said(results: Results, year: int) -> str:
    """Say in one line what the site's headline metrics are in a year, for the line below the slider."""
    parts = []
    for metric in ("stockpile_area_m2", "footprint_area_m2"):
        row = results.measurements.get((SITE_ZONE, metric, year))
        if row is not None and (row.value is None or row.status not in ("ok", "partial")):
            parts.append(f"{METRICS[metric].noun}: {STATUSES.get(row.status, row.status)}")
        elif row is not None:
            shown = results.shown(row)
            parts.append(f"{METRICS[metric].noun}: {shown.value_with_unit} ({shown.interval})")
    return "; ".join(parts) or "nothing was measured"


def _target(results: Results, said: Statement, features: Sequence[Feature], extent: Box) -> dict[str, Any]:
    """Return where a statement leads: a box, the point of its pop-up, the years, and what the pop-up says."""
    layer = {"stockpile": "pile", "boundary": "change"}.get(said.metric.split("_", 1)[0], "ground")
    zone = results.zones[said.zone_id].geometry if said.zone_id in results.zones else None
    meant = [f for f in features if f.layer == layer and f.counted and _of_years(f, said.years)]
    within = [(f, shape) for f in meant for shape in _within(f.geometry, zone)]
    place = _union_box([shape for _, shape in within]) or (tuple(zone.bounds) if zone is not None else extent)
    newest = [shape for f, shape in within if _of_years(f, said.years[-1:])]
    at = max(newest or [shape for _, shape in within], key=lambda g: (g.area, g.bounds), default=zone)
    point = shapely.point_on_surface(max(shapely.get_parts(at), key=lambda g: g.area)) if at is not None else None
    links = [["Sentence", said.anchor]]
    links += [["Numbers", said.row]] if said.row else []
    links += [[f"Scenes of {link.year}", link.anchor] for link in said.scenes]
    return {
        "box": _relative(_roomy(place), extent),
        "at": _relative([point.x, point.y, point.x, point.y], extent)[:2] if point is not None else None,
        "years": list(said.years),
        "title": f"{said.title}, {said.place[0].lower()}{said.place[1:]}"
        if said.zone_id == SITE_ZONE
        else f"{said.title}, {said.place}",
        "verdict": [said.verdict, VERDICTS.get(said.verdict, said.verdict)],
        "rows": [list(figure) for figure in said.figures] or [["", said.brief]],
        "links": links,
    }


def _of_years(feature: Feature, years: Iterable[int]) -> bool:
    """Whether a feature is of one of these years; of a change: of exactly this pair."""
    wanted = list(years)
    if feature.years is None or not wanted:
        return False
    if feature.layer == "change":
        return feature.years[-1] == wanted[-1]
    return feature.years[0] in wanted


def _within(geometry: BaseGeometry, zone: BaseGeometry | None) -> list[BaseGeometry]:
    """Return the part of an outline within a zone, if there is any: what only touches it is not of the zone."""
    part = geometry if zone is None or zone.contains(geometry) else zone.intersection(geometry)
    return [part] if part.area > 0 else []


def _union_box(shapes: Sequence[BaseGeometry]) -> Box | None:
    return tuple(shapely.total_bounds(shapes)) if shapes else None


def _roomy(box: Sequence[float]) -> Box:
    """Return a box with a margin around it, and wide enough to be seen in its surroundings."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = [max(side / 2 + _MARGIN_M, _CLOSEST_M / 2) for side in (box[2] - box[0], box[3] - box[1])]
    return x - half[0], y - half[1], x + half[0], y + half[1]
