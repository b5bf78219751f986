"""What a world is made from and what is true of it, and its archive as a provider would deliver it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from shapely.geometry import box, mapping

from pipeline.grid import reproject
from pipeline.sources._sim_catalog import NOTICE
from pipeline.validation.days import Day
from pipeline.validation.draw import Order, Thing
from pipeline.validation.materials import BANDS
from pipeline.validation.render import RESOLUTION_M

EDGE_M = 100.0
"""The AOI ends this far inside the pixels, so that every date covers it."""
NAMES = dict(zip(BANDS, ("B02", "B03", "B04", "B08", "B8A", "B11", "B12"), strict=True))
_PARTS = 4


@dataclass(frozen=True)
class Place:
    """Real scenes things are put into, and what the archive lacks.

    Attributes
    ----------
    scenes : tuple of str
        Folders of the archive, one for each date of a year.
    stand_ins : tuple of (band, band)
        A band the archive lacks, and the one read in its place.
    """

    epsg: int
    scenes: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...] = ()


REAL: Mapping[str, Place] = {
    "boadella": Place(
        32631,
        tuple(f"S2_boadella_{day}" for day in ("20200202", "20220308", "20200621", "20210626", "20210716",
                                               "20220308", "20210716", "20200621")),
    ),
    "belgium": Place(
        32631,
        tuple(f"S2_belgium_2021{month:02d}01" for month in (4, 5, 6, 7, 8, 9, 10, 9)),
        (("nir08", "nir"),),
    ),
}  # fmt: skip
"""boadella: five scenes, one hazy in part; belgium: monthly composites, no nir08, no scene classification."""


@dataclass(frozen=True)
class World:
    """What is needed to make a world again.

    Attributes
    ----------
    ground : str
        ``simulated`` or a name of REAL.
    seed : tuple of int
        Set of seeds (tuning or reporting), and number.
    order : Order
    size_px : int
        Edge of a simulated world; real ones have their own.
    """

    ground: str
    seed: tuple[int, ...]
    order: Order
    size_px: int = 400

    @property
    def id(self) -> str:
        """Name of its site and folder."""
        kind = ("still-" if self.order.still else "") + ("lignite-" if self.order.lignite else "")
        return f"{self.ground}-{kind}{'-'.join(str(n) for n in self.seed)}"

    def stream(self, purpose: int) -> tuple[int, ...]:
        """Seed of one purpose, different for every ground."""
        return (*self.seed, sorted(["simulated", *REAL]).index(self.ground), purpose)


@dataclass(frozen=True)
class Made:
    """A world as it was written: its archive, its ground's corner, and what is true."""

    world: World
    folder: Path
    epsg: int
    left_m: float
    top_m: float
    shape: tuple[int, int]
    things: tuple[Thing, ...]
    days: tuple[Day, ...]

    @property
    def area_km2(self) -> float:
        """Area of the AOI."""
        height, width = (size * 10 - 2 * EDGE_M for size in self.shape)
        return height * width / 1e6


def write_band(path: Path, pixels: NDArray[Any], made: Made, resolution: int) -> None:
    """Write one band file of a scene."""
    with rasterio.open(
        path, "w", driver="GTiff", compress="zstd", zstd_level=1, tiled=True, blockxsize=256, blockysize=256, nodata=0,
        dtype=pixels.dtype.name, count=1, height=pixels.shape[0], width=pixels.shape[1], crs=f"EPSG:{made.epsg}",
        transform=from_origin(made.left_m, made.top_m, resolution, resolution),
    ) as target:  # fmt: skip
        target.write(pixels, 1)
        target.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTICE)


def write_item(folder: Path, made: Made, day: Day, *, scl: bool) -> None:
    """Write the STAC item of a scene into its folder, whose name is the item's."""
    height_m, width_m = (10.0 * size for size in made.shape)
    covered = reproject(box(made.left_m, made.top_m - height_m, made.left_m + width_m, made.top_m), made.epsg, 4326)
    radiometry = {"scale": 0.0001, "offset": -0.1 if day.scene.offset_declared else 0, "nodata": 0}
    assets: dict[str, Any] = {
        file: {"href": f"./{file}.tif", "proj:code": f"EPSG:{made.epsg}", "gsd": RESOLUTION_M[band],
               "eo:bands": [{"name": file}], "raster:bands": [radiometry]}
        for band, file in NAMES.items()
    }  # fmt: skip
    if scl:
        assets["SCL"] = {"href": "./SCL.tif", "proj:code": f"EPSG:{made.epsg}", "gsd": 20}
    document = {
        "type": "Feature", "stac_version": "1.1.0", "id": folder.name, "geometry": mapping(covered),
        "bbox": list(covered.bounds), "links": [],
        "properties": {
            "description": NOTICE, "stockline:simulated": True, "datetime": f"{day.scene.datetime:%Y-%m-%dT%H:%M:%SZ}",
            "platform": day.scene.platform, "proj:code": f"EPSG:{made.epsg}", "sat:relative_orbit": 103,
            "s2:processing_baseline": day.scene.processing_baseline, "eo:cloud_cover": 0,
        },
        "assets": assets,
    }  # fmt: skip
    _write_json(folder / f"{folder.name}.json", document)


def write_catalog(made: Made) -> None:
    """Write the catalogue of the scenes that are there, and the world's site file."""
    height_m, width_m = (10.0 * size for size in made.shape)
    aoi = reproject(
        box(made.left_m + EDGE_M, made.top_m - height_m + EDGE_M, made.left_m + width_m - EDGE_M, made.top_m - EDGE_M),
        made.epsg, 4326,
    )  # fmt: skip
    site = {
        "role": "aoi", "id": made.world.id, "name": f"SIMULATED: implants on {made.world.ground} ground",
        "kind": "mine", "coal_rank": "lignite" if made.world.order.lignite else "hard",
        "source": "SIMULATED, drawn by the validation", "note": NOTICE,
    }  # fmt: skip
    features = [{"type": "Feature", "properties": site, "geometry": mapping(aoi)}, *_parts(made)]
    _write_json(made.folder / "aoi" / f"{made.world.id}.geojson", {"type": "FeatureCollection", "features": features})
    names = sorted(path.stem for path in made.folder.glob("S2*/*.json"))
    links = [{"rel": "item", "href": f"./{n}/{n}.json", "type": "application/geo+json"} for n in names]
    catalog = {"type": "Catalog", "id": made.world.id, "description": NOTICE, "stac_version": "1.1.0", "links": links}
    _write_json(made.folder / "catalog.json", catalog)


def _parts(made: Made) -> list[dict[str, Any]]:
    """Zones of a world in which nothing changes: _PARTS x _PARTS, each a site to be judged on its own."""
    if not made.world.order.still:
        return []
    height_m, width_m = ((size * 10.0 - 2 * EDGE_M) / _PARTS for size in made.shape)
    left_m, top_m = made.left_m + EDGE_M, made.top_m - EDGE_M
    return [
        {
            "type": "Feature",
            "properties": {"role": "zone", "name": f"part {down} {right}", "source": "SIMULATED"},
            "geometry": mapping(
                reproject(
                    box(left_m + right * width_m, top_m - (down + 1) * height_m,
                        left_m + (right + 1) * width_m, top_m - down * height_m).buffer(-1.0, join_style="mitre"),
                    made.epsg, 4326,
                )
            ),
        }
        for down in range(_PARTS)
        for right in range(_PARTS)
    ]  # fmt: skip


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, sort_keys=True), encoding="utf-8", newline="\n")
