"""Items -> scenes: one acquisition counted once, in one tile family. Pure decisions.

Overlapping tiles and zones deliver the same acquisition several times; mixing them double counts dates
and rotates grids against each other (science 2.4, 2.5).
"""

from collections import defaultdict
from collections.abc import Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.grid import is_utm
from pipeline.imagery import Item, Refusal, Scene

_SAME_PASS_S = 60.0
"""Tiles of one pass are sensed within seconds; the next pass is a day away."""
_WHOLE = 0.999


def select_scenes(items: Sequence[Item], epsg: int, aoi: BaseGeometry) -> tuple[list[Scene], list[Refusal]]:
    """Group items into scenes of the tile family ``epsg`` and say why each other item is not used.

    Items of another UTM zone are refused; items in no UTM zone (an archive in another CRS) stay. Of
    several versions of one tile and acquisition the newest processing baseline stays. Of several tiles
    of one acquisition as many stay as the AOI needs.

    Parameters
    ----------
    items : sequence of Item
    epsg : int
        UTM zone of the site's grid.
    aoi : BaseGeometry
        In longitude and latitude.
    """
    refused = [
        _refuse(item, f"tile of another UTM zone (EPSG:{item.epsg}); the site is measured in EPSG:{epsg}")
        for item in items
        if is_utm(item.epsg) and item.epsg != epsg
    ]
    family = [item for item in items if not is_utm(item.epsg) or item.epsg == epsg]
    scenes = []
    for group in _passes(family):
        newest, older = _newest_versions(group)
        chosen, spare = _cover(newest, aoi)
        refused += [_refuse(item, "older processing of an acquisition that is used") for item in older]
        refused += [_refuse(item, "overlapping tile of an acquisition that is used") for item in spare]
        first = chosen[0]
        scenes.append(
            Scene(
                first.id, first.datetime, first.platform, first.processing_baseline, first.relative_orbit, tuple(chosen)
            )
        )
    return sorted(scenes, key=lambda s: (s.datetime, s.scene_id)), sorted(
        refused, key=lambda r: (r.datetime, r.scene_id)
    )


def _passes(items: Sequence[Item]) -> list[list[Item]]:
    """Items of one platform within a minute of each other."""
    groups: list[list[Item]] = []
    for item in sorted(items, key=lambda i: (i.platform or "", i.datetime, i.id)):
        last = groups[-1][-1] if groups else None
        same = (
            last is not None
            and last.platform == item.platform
            and (item.datetime - last.datetime).total_seconds() <= _SAME_PASS_S
        )
        if same:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _newest_versions(group: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Return the newest baseline of each tile, and the rest; ties go to the later name."""
    by_tile: dict[str, list[Item]] = defaultdict(list)
    for item in group:
        # Without a tile's name two items of a pass are one tile when they cover the same ground.
        by_tile[item.tile or shapely.to_wkt(item.coverage, rounding_precision=3)].append(item)
    newest, older = [], []
    for versions in by_tile.values():
        ranked = sorted(versions, key=lambda i: (i.processing_baseline or "", i.id), reverse=True)
        newest.append(ranked[0])
        older += ranked[1:]
    return newest, older


def _cover(items: Sequence[Item], aoi: BaseGeometry) -> tuple[list[Item], list[Item]]:
    """Return the fewest tiles that cover what can be covered of the AOI, largest share first."""
    left = aoi
    chosen: list[Item] = []
    spare: list[Item] = []
    ranked = sorted(items, key=lambda i: (-round(float(i.coverage.intersection(aoi).area / aoi.area), 3), i.id))
    for item in ranked:
        gain = float(item.coverage.intersection(left).area / aoi.area)
        if not chosen or gain > 1.0 - _WHOLE:
            chosen.append(item)
            left = left.difference(item.coverage)
        else:
            spare.append(item)
    return chosen, spare


def _refuse(item: Item, reason: str) -> Refusal:
    return Refusal(item.id, item.datetime, item.platform, item.processing_baseline, item.relative_orbit, reason)
