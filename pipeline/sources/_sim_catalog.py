"""The documents of a simulated archive: STAC items and catalogue, site files, claims, truth. Pure: dicts out."""

import copy
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from pyproj import Geod
from shapely import set_precision
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from pipeline.sources._sim_render import RESOLUTION_M, TileImage, aoi_square, between_crs, swath, tile_image, to_crs
from pipeline.sources._sim_scenes import SimScene
from pipeline.sources._sim_sites import SimSite, footprint, piles

NOTICE = "SIMULATED: made by a program, no satellite has seen any of it, and no such place exists."
"""Stands in every document and file of the archive."""

_LONLAT = 4326
_DEGREE_GRID = 1e-9  # 0.1 mm
_COMMON_NAMES = {
    "B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B8A": "nir08", "B11": "swir16", "B12": "swir22"
}  # fmt: skip
_STAC_VERSION = "1.1.0"
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("projection/v2.0.0", "eo/v1.1.0", "raster/v1.1.0", "view/v1.0.0", "sat/v1.0.0", "grid/v1.1.0")
]
_COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
_REPROCESSED = "20230815T120000"
_GEOD = Geod(ellps="WGS84")


def item_id(site: SimSite, scene: SimScene, tile_number: int) -> str:
    """Name of a scene in a tile, built as the real ones are."""
    made = scene.datetime + dt.timedelta(hours=4)
    reprocessed = scene.processing_baseline == "05.00"
    return (
        f"S2{scene.platform[-1].upper()}_MSIL2A_{scene.datetime:%Y%m%dT%H%M%S}_R{site.relative_orbit:03d}"
        f"_T{site.tiles[tile_number].mgrs}_{_REPROCESSED if reprocessed else f'{made:%Y%m%dT%H%M%S}'}"
    )


def item_document(site: SimSite, scene: SimScene, tile_number: int, shares: Mapping[str, float]) -> dict[str, Any]:
    """STAC item of a scene in a tile.

    Parameters
    ----------
    shares : Mapping[str, float]
        ``cloud`` and ``no_data``: shares of the image, 0-1, as SCL has them.
    """
    tile = site.tiles[tile_number]
    image = tile_image(site, tile)
    inside = to_crs(site, swath(), tile.epsg).intersection(image.outline) if scene.swath_edge else image.outline
    covered = between_crs(inside, tile.epsg, _LONLAT)
    return {
        "type": "Feature",
        "stac_version": _STAC_VERSION,
        "stac_extensions": _EXTENSIONS,
        "id": item_id(site, scene, tile_number),
        "geometry": mapping(covered),
        "bbox": list(covered.bounds),
        "properties": _properties(site, scene, tile_number, shares),
        "links": [
            {"rel": rel, "href": "../catalog.json", "type": "application/json"} for rel in ("root", "parent")
        ],
        "assets": {band: _asset(band, image, declared=scene.offset_declared) for band in RESOLUTION_M},
    }  # fmt: skip


def _properties(site: SimSite, scene: SimScene, tile_number: int, shares: Mapping[str, float]) -> dict[str, Any]:
    tile = site.tiles[tile_number]
    orbit = (scene.datetime.date() - dt.date(2015, 6, 23)).days * 14
    return {
        "title": f"SIMULATED scene of {site.name}",
        "description": NOTICE,
        "stockline:simulated": True,
        "datetime": f"{scene.datetime:%Y-%m-%dT%H:%M:%SZ}",
        "platform": scene.platform,
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "proj:code": f"EPSG:{tile.epsg}",
        "grid:code": f"MGRS-{tile.mgrs}",
        "sat:orbit_state": "descending",
        "sat:relative_orbit": site.relative_orbit,
        "view:sun_azimuth": scene.sun_azimuth_deg,
        "view:sun_elevation": round(90.0 - scene.sun_zenith_deg, 4),
        "eo:cloud_cover": round(100 * shares["cloud"], 3),
        "s2:mgrs_tile": tile.mgrs,
        "s2:processing_baseline": scene.processing_baseline,
        "s2:product_type": "S2MSI2A",
        "s2:datatake_id": (
            f"GS2{scene.platform[-1].upper()}_{scene.datetime:%Y%m%dT%H%M%S}_{orbit:06d}_N{scene.processing_baseline}"
        ),
        "s2:nodata_pixel_percentage": round(100 * shares["no_data"], 3),
    }


def _asset(band: str, image: TileImage, *, declared: bool) -> dict[str, Any]:
    resolution = RESOLUTION_M[band]
    placed = {
        "href": f"./{band}.tif",
        "type": _COG_TYPE,
        "roles": ["data"],
        "gsd": resolution,
        "proj:code": f"EPSG:{image.epsg}",
        "proj:shape": list(image.shape(resolution)),
        "proj:transform": list(image.transform(resolution))[:6],
    }
    if band == "SCL":
        return {**placed, "raster:bands": [{"nodata": 0, "data_type": "uint8", "spatial_resolution": resolution}]}
    radiometry = {"scale": 0.0001, "offset": -0.1 if declared else 0, "nodata": 0, "data_type": "uint16"}
    return {
        **placed,
        "eo:bands": [{"name": band, "common_name": _COMMON_NAMES[band]}],
        "raster:bands": [{**radiometry, "spatial_resolution": resolution}],
    }


def catalog_document(item_ids: Sequence[str]) -> dict[str, Any]:
    """Build the static catalogue of items that lie in folders of their own names."""
    items = [
        {"rel": "item", "href": f"./{name}/{name}.json", "type": "application/geo+json"} for name in sorted(item_ids)
    ]
    root = {"rel": "root", "href": "./catalog.json", "type": "application/json"}
    return {
        "type": "Catalog",
        "id": "simulated",
        "title": "SIMULATED archive",
        "description": NOTICE,
        "stac_version": _STAC_VERSION,
        "stockline:simulated": True,
        "links": [root, *items],
    }


def site_document(site: SimSite) -> dict[str, Any]:
    """Site file: the AOI, its zone and its control."""
    source = "SIMULATED, drawn by the simulator"
    aoi: dict[str, Any] = {
        "role": "aoi", "id": site.id, "name": site.name, "kind": site.kind, "coal_rank": "hard",
        "source": source, "source_date": "2018-01-01", "uncertainty_m": 0, "note": NOTICE,
    }  # fmt: skip
    others = [
        _feature(site, outline, {"role": role, "name": name, "source": source}) for role, name, outline in site.places
    ]
    return collection([_feature(site, aoi_square(), aoi), *others])


def claims_document(years: Sequence[int]) -> dict[str, Any]:
    """Claims about the simulated sites, one of each kind that can be tested."""
    shared = {
        "source": "SIMULATED, written for the simulator",
        "sites": ["sim-camp", "sim-mine", "sim-port"],
        "baseline": years[0],
        "test_years": [min(years[0] + 1, years[-1]), years[-1]],
        "aggregate": "each site on its own, and the share of sites",
        "margin_fraction": None,
        "margin_m2": None,
    }
    stock = {
        "id": "sim-stock", "quote": f"SIMULATED claim: stockpiles have grown since {years[0]}.", "observable": "stock",
        "zones": ["site"], "metric": "stockpile_area_m2", "direction": "increase", "margin_fraction": 0.2,
        "not_observable": "What was produced: stock is not flow.",
    }  # fmt: skip
    ground = {
        "id": "sim-ground", "quote": "SIMULATED claim: occupied ground has spread into the adjacent settlement.",
        "observable": "ground", "zones": ["named:simulated-settlement"], "metric": "boundary_gain_m2",
        "direction": "increase", "margin_m2": 5000.0, "not_observable": "Whether a fence or guard line was moved.",
    }  # fmt: skip
    presence = {
        "id": "sim-presence", "quote": "SIMULATED claim: stockpiles are visible.", "observable": "presence",
        "zones": ["site"], "metric": "stockpile_count", "direction": "presence",
        "not_observable": "What the stockpiles are for.",
    }  # fmt: skip
    return {"claims": [{**copy.deepcopy(shared), **claim} for claim in (stock, ground, presence)]}


def truth_areas(site: SimSite, year: int) -> dict[str, Any]:
    """Give the true areas of a site and year: every pile, and occupied ground in the AOI, its zones and controls.

    ``area_m2`` is the area of the analytic polygon in the site's UTM zone, ``geodesic_area_m2`` the same
    on the ellipsoid, which is what products give.
    """
    ground = footprint(site, year)
    zones = {name: ground.intersection(outline) for _, name, outline in site.places}
    return {
        "piles": {pile_id: _areas(site, outline) for pile_id, outline in sorted(piles(site, year).items())},
        "footprint": _areas(site, ground),
        "footprint_by_place": {name: _areas(site, part) for name, part in zones.items()},
    }


def truth_features(site: SimSite, year: int) -> list[dict[str, Any]]:
    """Give the true outlines of a site and year as GeoJSON features: every pile, and the footprint."""
    shared = {"site_id": site.id, "year": year, "simulated": True}
    return [
        *(
            _feature(site, outline, {**shared, "what": "pile", "pile_id": pile_id, **_areas(site, outline)})
            for pile_id, outline in sorted(piles(site, year).items())
        ),
        _feature(
            site,
            footprint(site, year),
            {**shared, "what": "footprint", "pile_id": None, **_areas(site, footprint(site, year))},
        ),
    ]


def _areas(site: SimSite, outline: BaseGeometry) -> dict[str, float]:
    on_ellipsoid = abs(_GEOD.geometry_area_perimeter(to_crs(site, outline, _LONLAT))[0])
    return {"area_m2": round(outline.area, 3), "geodesic_area_m2": round(on_ellipsoid, 3)}


def _feature(site: SimSite, outline: BaseGeometry, properties: Mapping[str, Any]) -> dict[str, Any]:
    placed = set_precision(to_crs(site, outline, _LONLAT), _DEGREE_GRID, mode="pointwise")
    return {"type": "Feature", "properties": dict(properties), "geometry": mapping(placed)}


def collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    """GeoJSON of features in longitude and latitude, named for what it is."""
    return {"type": "FeatureCollection", "name": "SIMULATED", "description": NOTICE, "features": features}
