"""One world: things on a ground, written as the archive a provider would deliver, and what is true of it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import from_origin
from shapely.geometry import box, mapping

from pipeline.grid import reproject
from pipeline.sources._sim_catalog import NOTICE
from pipeline.sources._sim_sky import Sky, make_sky, seen_through, sky_at
from pipeline.validation.days import Day, draw_days
from pipeline.validation.draw import Order, Thing, draw_things
from pipeline.validation.grounds import Ground, read_real_ground, simulated_ground
from pipeline.validation.materials import BANDS
from pipeline.validation.render import PSF_SIGMA_M, RESOLUTION_M, Patch, make_patch, put

Float32 = NDArray[np.float32]

EDGE_M = 100.0
"""The AOI ends this far inside the pixels, so that every date covers it."""
_OFFSET_DN = 1000
_NAMES = dict(zip(BANDS, ("B02", "B03", "B04", "B08", "B8A", "B11", "B12"), strict=True))
_NOISE = dict(zip(BANDS, (0.0025, 0.0025, 0.0025, 0.003, 0.003, 0.004, 0.004), strict=True))
_WET_SWIR = 0.05
_REAL_NOISE = 0.6
"""Real scenes bring noise of their own; each repetition gets this share of it anew."""
_SKY_HALF_M = 3300.0
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


def ground_of(world: World, data: Path | None) -> Ground:
    """Make or read a world's ground."""
    if world.ground == "simulated":
        return simulated_ground("simulated", world.stream(1), world.size_px, point_spread(world))
    if data is None:
        raise ValueError(f"{world.id} needs the folder of real scenes")
    place = REAL[world.ground]
    return read_real_ground(data / world.ground, place.scenes, place.epsg, dict(place.stand_ins))


def point_spread(world: World) -> dict[int, float]:
    """Point spread of a world in metres by resolution, drawn once a world."""
    rng = np.random.default_rng(world.stream(2))
    return {resolution: float(rng.uniform(*span)) for resolution, span in PSF_SIGMA_M.items()}


def make_world(world: World, folder: Path, data: Path | None) -> Made:
    """Draw a world and write its archive, with catalogue and site file.

    Parameters
    ----------
    world : World
    folder : Path
        Made anew.
    data : Path or None
        Folder of the real archives.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "aoi").mkdir(parents=True)
    ground = ground_of(world, data)
    height_m, width_m = (10.0 * size for size in ground.shape)
    free = ground.free()
    edge = int(EDGE_M // 10)
    free[:edge], free[-edge:], free[:, :edge], free[:, -edge:] = False, False, False, False
    things = draw_things(np.random.default_rng(world.stream(4)), world.order, width_m, height_m, free)
    to_lonlat = Transformer.from_crs(ground.epsg, 4326, always_xy=True)
    longitude, latitude = to_lonlat.transform(ground.left_m + width_m / 2, ground.top_m - height_m / 2)
    days = draw_days(world.stream(5), world.id, longitude, latitude, sky=not ground.real, years=world.order.years)
    made = Made(world, folder, ground.epsg, ground.left_m, ground.top_m, ground.shape, tuple(things), tuple(days))
    psf_m = point_spread(world)
    for year in range(world.order.years):
        patches = [
            {r: patch for r in psf_m if (patch := make_patch(thing, year, psf_m[r], world.stream(100 + n))) is not None}
            for n, thing in enumerate(things)
        ]
        for day in days:
            if day.year == year:
                _write_day(made, ground, day, patches)
    _write_catalog(made)
    return made


def _write_day(made: Made, ground: Ground, day: Day, patches: Sequence[Mapping[int, Patch]]) -> None:
    view = ground.view(day)
    for number, (thing, of_thing) in enumerate(zip(made.things, patches, strict=True)):
        put(view, thing, of_thing, day, made.world.stream(100 + number))
    for band, haze in ground.haze(day).items():
        view[band] += haze
    rng = day.scene.rng(11)
    sky = {resolution: None if ground.real else _sky(day, ground.shape, resolution) for resolution in (10, 20)}
    scl = None if ground.real else _classify(view, made, day, sky[20])
    folder = made.folder / f"S2{day.scene.platform[-1].upper()}_{made.world.id}_{day.scene.datetime:%Y%m%d}"
    folder.mkdir()
    spread = _REAL_NOISE if ground.real else 1.0
    for number, band in enumerate(BANDS):
        seen = view[band] * np.float32(day.gain[number] if not ground.real else 1.0)
        above = sky[RESOLUTION_M[band]]
        if above is not None:
            seen = seen_through(above, _NAMES[band], seen + np.float32(day.path))
        seen = seen + rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(spread * _NOISE[band])
        dn = np.rint(seen * 1e4 + (_OFFSET_DN if day.scene.offset_in_dn else 0))
        _write_band(folder / f"{_NAMES[band]}.tif", np.clip(dn, 1, 65535).astype(np.uint16), made, RESOLUTION_M[band])
    if scl is not None:
        _write_band(folder / "SCL.tif", scl, made, 20)
    _write_json(folder / f"{folder.name}.json", _item(folder.name, made, day, scl=scl is not None))


def _sky(day: Day, shape: tuple[int, int], resolution: int) -> Sky:
    """Cloud, shadow and haze over a world; the world's middle is the sky's."""
    rows, columns = (size * 10 // resolution for size in shape)
    north = (rows / 2 - np.arange(rows) - 0.5) * resolution
    east = (np.arange(columns) + 0.5 - columns / 2) * resolution
    east, north = np.meshgrid(np.clip(east, -_SKY_HALF_M, _SKY_HALF_M), np.clip(north, -_SKY_HALF_M, _SKY_HALF_M))
    return sky_at(make_sky(day.scene), east, north)


def _classify(view: Mapping[str, Float32], made: Made, day: Day, sky: Sky | None) -> NDArray[np.uint8]:
    """Scene classification with Sen2Cor's errors over dark ground: by lot dark, bare, water or unclassified."""
    rng = day.scene.rng(12)
    rows, columns = view["swir16"].shape
    red, nir, green = (view[b].reshape(rows, 2, columns, 2).mean(axis=(1, 3)) for b in ("red", "nir", "green"))
    swir = view["swir16"]
    scl = np.where((nir - red) / np.maximum(nir + red, 1e-3) > 0.45, 4, 5).astype(np.uint8)  # noqa: PLR2004
    scl[(green > swir) & (swir < _WET_SWIR)] = 6
    scl[(green - swir) / np.maximum(green + swir, 1e-3) > 0.6] = 11  # noqa: PLR2004 - snow
    dark = (red + nir) / 2 < 0.08  # noqa: PLR2004
    for thing in made.things:
        box_20m = _box_20m(thing, made.shape)
        part = scl[box_20m]
        part[dark[box_20m]] = rng.choice([2, 5, 6, 7], p=[0.5, 0.2, 0.15, 0.15])
        if thing.is_pile and rng.random() < 0.04:  # noqa: PLR2004
            part[: part.shape[0] // 2][dark[box_20m][: part.shape[0] // 2]] = 3
    if sky is not None:
        scl[sky.shadow > 0.3] = 3  # noqa: PLR2004 - shallower shadow is missed
        for code, opacity in ((10, 0.22), (8, 0.35), (9, 0.75)):
            scl[sky.cloud > opacity] = code
    return scl


def _box_20m(thing: Thing, shape: tuple[int, int]) -> tuple[slice, slice]:
    left, top, right, bottom = thing.extent.bounds
    rows = slice(max(int((thing.y_m + top) // 20) - 1, 0), min(int((thing.y_m + bottom) // 20) + 2, shape[0] // 2))
    columns = slice(max(int((thing.x_m + left) // 20) - 1, 0), min(int((thing.x_m + right) // 20) + 2, shape[1] // 2))
    return rows, columns


def _write_band(path: Path, pixels: NDArray[Any], made: Made, resolution: int) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", compress="zstd", zstd_level=1, tiled=True, blockxsize=256, blockysize=256, nodata=0,
        dtype=pixels.dtype.name, count=1, height=pixels.shape[0], width=pixels.shape[1], crs=f"EPSG:{made.epsg}",
        transform=from_origin(made.left_m, made.top_m, resolution, resolution),
    ) as target:  # fmt: skip
        target.write(pixels, 1)
        target.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTICE)


def _item(name: str, made: Made, day: Day, *, scl: bool) -> dict[str, Any]:
    height_m, width_m = (10.0 * size for size in made.shape)
    covered = reproject(box(made.left_m, made.top_m - height_m, made.left_m + width_m, made.top_m), made.epsg, 4326)
    radiometry = {"scale": 0.0001, "offset": -0.1 if day.scene.offset_declared else 0, "nodata": 0}
    assets: dict[str, Any] = {
        file: {"href": f"./{file}.tif", "proj:code": f"EPSG:{made.epsg}", "gsd": RESOLUTION_M[band],
               "eo:bands": [{"name": file}], "raster:bands": [radiometry]}
        for band, file in _NAMES.items()
    }  # fmt: skip
    if scl:
        assets["SCL"] = {"href": "./SCL.tif", "proj:code": f"EPSG:{made.epsg}", "gsd": 20}
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "geometry": mapping(covered),
        "bbox": list(covered.bounds), "links": [],
        "properties": {
            "description": NOTICE, "stockline:simulated": True, "datetime": f"{day.scene.datetime:%Y-%m-%dT%H:%M:%SZ}",
            "platform": day.scene.platform, "proj:code": f"EPSG:{made.epsg}", "sat:relative_orbit": 103,
            "s2:processing_baseline": day.scene.processing_baseline, "eo:cloud_cover": 0,
        },
        "assets": assets,
    }  # fmt: skip


def _write_catalog(made: Made) -> None:
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
