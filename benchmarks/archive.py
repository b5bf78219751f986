"""A SIMULATED archive of any size and number of scenes, to measure time and memory on; no truth, no accuracy.

    python -m benchmarks.archive FOLDER SIZE_PX SCENES [--years N] [--different N] [--sites-per-edge N]

Ground, clouds and piles repeat every 2,048 pixels, so that a large archive is made as fast as it is written. Files are
as public archives have them: tiled, deflated, 16 bit, with a predictor; 20 m bands and scene classes at 20 m.
With --different, no more than that many scenes have pixels of their own (twice as many when the archive changes its
offset within); the others are links to those, with dates of their own. For memory only: a program that notices
equal files is faster than it should be. With --sites-per-edge, the area is a batch of so many sites squared.
"""

import argparse
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy import ndimage
from shapely.geometry import box, mapping

from pipeline.grid import reproject
from pipeline.sources._sim_catalog import NOTICE
from pipeline.validation.materials import BANDS, CONFUSERS, coal_spectrum, ground_spectrum

EPSG = 32652
LEFT_M, TOP_M = 399_960.0, 4_400_040.0
PERIOD_PX = 2_048
BLOCK_PX = 512
SITE = "bench"
OFFSET_SINCE = dt.date(2022, 1, 25)
"""Since then, processing baseline 04.00, DN are 1,000 higher."""
FILES = dict(zip(BANDS, ("B02", "B03", "B04", "B08", "B8A", "B11", "B12"), strict=True))
COARSE = ("nir08", "swir16", "swir22", "scl")
_KINDS = ("forest", "crop", "grass", "soil", "gravel", "concrete", "water", "coal")
_SHARES = (0.42, 0.22, 0.14, 0.12, 0.04, 0.03)
_CLASS = (4, 4, 4, 5, 5, 5, 6, 2)
_PILES = 48
_SHIFT_PX = 0.25
_FIRST_YEAR = 2020


@dataclass(frozen=True)
class Ground:
    """What lies where, and how its brightness varies; repeats at the edges."""

    kind: NDArray[np.uint8]
    texture: NDArray[np.float32]


def ground(seed: int, size: int) -> Ground:
    """Patches of every kind of ground, with piles of coal of 0.2 to 4 ha on bare soil: 48 in 2,048 x 2,048 pixels."""
    rng = np.random.default_rng(seed)
    field = _smooth(rng, size, 12)
    kind = np.searchsorted(np.quantile(field, np.cumsum(_SHARES)), field).astype(np.uint8)
    for _ in range(max(round(_PILES * size**2 / PERIOD_PX**2), 1)):
        row, column = rng.integers(30, size - 60, 2)
        height, width = rng.integers(5, 21, 2)
        kind[row - 5 : row + height + 5, column - 5 : column + width + 5] = _KINDS.index("soil")
        kind[row : row + height, column : column + width] = _KINDS.index("coal")
    return Ground(kind, 1 + 0.08 * _smooth(rng, size, 1))


def _smooth(rng: np.random.Generator, size: int, sigma: float) -> NDArray[np.float32]:
    field = ndimage.gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), sigma, mode="wrap")
    return np.asarray(field / field.std(), dtype=np.float32)


def scene(made: Ground, day: dt.date, number: int) -> dict[str, NDArray[np.uint16] | NDArray[np.uint8]]:
    """Bands and classes of one scene of one period, in DN; one pixel in six is cloud or shadow."""
    rng = np.random.default_rng((7, number))
    size = made.kind.shape[0]
    spectra = np.array([_spectrum(name, day) for name in _KINDS])
    field = _smooth(rng, size, 40)
    cloud = field > np.quantile(field, 1 - rng.uniform(0.02, 0.25))
    shadow = np.roll(cloud, (30, 18), (0, 1)) & ~cloud
    light = np.where(shadow, np.float32(0.4), made.texture)
    offset = -1000 if day >= OFFSET_SINCE else 0
    shift = rng.uniform(-_SHIFT_PX, _SHIFT_PX, 2) if number else np.zeros(2)
    out = {}
    for place, band in enumerate(BANDS):
        values = spectra[made.kind, place].astype(np.float32) * light
        values = ndimage.gaussian_filter(values, 0.6, mode="wrap")
        values = ndimage.shift(values, shift, order=1, mode="grid-wrap")
        values[cloud] = 0.45
        if band in COARSE:
            values = _halved(values)
        values += rng.normal(0, 0.003, values.shape).astype(np.float32)
        out[band] = np.clip(np.round(values * 1e4) - offset, 1, 65535).astype(np.uint16)
    classes = np.array(_CLASS, dtype=np.uint8)[made.kind]
    classes[shadow], classes[cloud] = 3, 9
    out["scl"] = np.ascontiguousarray(classes[::2, ::2])
    return out


def _spectrum(name: str, day: dt.date) -> NDArray[np.float64]:
    if name == "coal":
        return coal_spectrum(0.8, 1.0)
    if name == "water":
        return np.array(CONFUSERS["clear water"].spectrum)
    return ground_spectrum(name, day.timetuple().tm_yday)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2).mean(axis=(1, 3), dtype=np.float32)


def days(scenes: int, years: tuple[int, ...]) -> list[dt.date]:
    """Days spread over April to October of every year."""
    each = -(-scenes // len(years))
    steps = [round(i * 195 / max(each - 1, 1)) for i in range(each)]
    return [dt.date(year, 4, 5) + dt.timedelta(step) for year in years for step in steps][:scenes]


def write_archive(
    folder: Path,
    size_px: int,
    scenes: int,
    years: tuple[int, ...] = (2020,),
    different: int | None = None,
    sites_per_edge: int = 1,
) -> None:
    """Write an archive, its catalogue, site file and configuration; what is there already is left."""
    folder.mkdir(parents=True, exist_ok=True)
    made, dates = ground(1, min(size_px, PERIOD_PX)), days(scenes, years)
    names = [f"S2A_MSIL2A_{day:%Y%m%d}T021601_R003_T52SCJ_{number:03d}" for number, day in enumerate(dates)]
    originals = originals_of(dates, different or scenes)

    def write(number: int) -> None:
        place = folder / names[number]
        if not (place / f"{names[number]}.json").is_file():
            place.mkdir(exist_ok=True)
            _write_pixels(place, size_px, scene(made, dates[number], number))
            _write_item(place, size_px, dates[number])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, sorted(set(originals))))
    for number, original in enumerate(originals):
        place = folder / names[number]
        if not (place / f"{names[number]}.json").is_file():
            place.mkdir(exist_ok=True)
            for path in (folder / names[original]).glob("*.tif"):
                (place / path.name).unlink(missing_ok=True)
                (place / path.name).hardlink_to(path)
            _write_item(place, size_px, dates[number])
    _write_catalogue(folder, years, names)
    _write_sites(folder, size_px, sites_per_edge)


def originals_of(dates: Sequence[dt.date], different: int) -> list[int]:
    """Which scene each has its pixels from: its own, or the first that stores DN alike at the same place in the row."""
    first: dict[tuple[int, bool], int] = {}
    return [first.setdefault((n % different, day >= OFFSET_SINCE), n) for n, day in enumerate(dates)]


def _write_catalogue(folder: Path, years: Sequence[int], names: Sequence[str]) -> None:
    links = [{"rel": "item", "href": f"./{n}/{n}.json", "type": "application/geo+json"} for n in names]
    _json(
        folder / "catalog.json",
        {"type": "Catalog", "id": SITE, "description": NOTICE, "stac_version": "1.1.0", "links": links},
    )
    (folder / "config.yaml").write_text(
        "# SIMULATED\nsites: aoi\nout: results\n"
        "source: {kind: stac, preset: null, url: catalog.json, collection: null, sign_url: null}\n"
        f"years: {{first: {min(years)}, last: {max(years)}}}\n"
        "limits: {max_aoi_km2: 10000}\n",
        encoding="utf-8",
    )


def _write_sites(folder: Path, size_px: int, per_edge: int) -> None:
    (folder / "aoi").mkdir(exist_ok=True)
    step_m = size_px * 10 / per_edge
    for number in range(per_edge**2):
        left, top = LEFT_M + number % per_edge * step_m, TOP_M - number // per_edge * step_m
        edge = box(left, top - step_m, left + step_m, top).buffer(-100, join_style="mitre")
        name = SITE if per_edge == 1 else f"{SITE}-{number + 1}"
        about = {"role": "aoi", "id": name, "name": "SIMULATED: benchmark", "kind": "mine", "coal_rank": "hard",
                 "source": "SIMULATED, benchmarks/archive.py", "note": NOTICE}  # fmt: skip
        site = {"type": "Feature", "properties": about, "geometry": mapping(reproject(edge, EPSG, 4326))}
        _json(folder / "aoi" / f"{name}.geojson", {"type": "FeatureCollection", "features": [site]})


def _write_pixels(place: Path, size_px: int, bands: Mapping[str, NDArray[np.uint16] | NDArray[np.uint8]]) -> None:
    for band, pixels in bands.items():
        half = 2 if band in COARSE else 1
        edge = size_px // half
        repeat = -(-edge // pixels.shape[0])
        whole = np.tile(pixels, (repeat, repeat))[:edge, :edge]
        with rasterio.open(
            place / f"{FILES.get(band, 'SCL')}.tif", "w", driver="GTiff", compress="deflate", predictor=2, zlevel=6,
            tiled=True, blockxsize=BLOCK_PX, blockysize=BLOCK_PX, nodata=0, dtype=pixels.dtype.name, count=1,
            height=edge, width=edge, crs=f"EPSG:{EPSG}", transform=from_origin(LEFT_M, TOP_M, 10 * half, 10 * half),
        ) as target:  # fmt: skip
            target.write(whole, 1)
            target.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTICE)


def _write_item(place: Path, size_px: int, day: dt.date) -> None:
    name = place.name
    covered = reproject(box(LEFT_M, TOP_M - size_px * 10, LEFT_M + size_px * 10, TOP_M), EPSG, 4326)
    recent = day >= OFFSET_SINCE
    radiometry = {"scale": 0.0001, "offset": -0.1 if recent else 0, "nodata": 0, "data_type": "uint16"}
    shapes = {band: [size_px // (2 if band in COARSE else 1)] * 2 for band in (*FILES, "scl")}
    assets = {
        file: {"href": f"./{file}.tif", "type": "image/tiff; application=geotiff; profile=cloud-optimized",
               "roles": ["data"], "gsd": 10, "eo:bands": [{"name": file, "common_name": band}],
               "proj:shape": shapes[band], "proj:transform": _transform(shapes[band][0], size_px),
               "raster:bands": [radiometry]}
        for band, file in FILES.items()
    }  # fmt: skip
    assets["SCL"] = {"href": "./SCL.tif", "type": assets["B02"]["type"], "roles": ["data"], "gsd": 20,
                     "proj:shape": shapes["scl"], "proj:transform": _transform(shapes["scl"][0], size_px),
                     "raster:bands": [{"nodata": 0, "data_type": "uint8"}]}  # fmt: skip
    _json(
        place / f"{name}.json",
        {
            "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "sentinel-2-l2a",
            "stac_extensions": [
                "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
                "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
                "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            ],
            "geometry": mapping(covered), "bbox": list(covered.bounds), "links": [],
            "properties": {
                "description": NOTICE, "stockline:simulated": True, "datetime": f"{day:%Y-%m-%d}T02:16:01Z",
                "platform": "sentinel-2a", "proj:epsg": EPSG, "sat:relative_orbit": 3,
                "s2:processing_baseline": "04.00" if recent else "02.14", "eo:cloud_cover": 12,
            },
            "assets": assets,
        },
    )  # fmt: skip


def _transform(edge: int, size_px: int) -> list[float]:
    step = 10.0 * size_px / edge
    return [step, 0.0, LEFT_M, 0.0, -step, TOP_M]


def _json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document), encoding="utf-8", newline="\n")


def main() -> None:
    """Write the archive the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.archive")
    parser.add_argument("folder", type=Path)
    parser.add_argument("size_px", type=int)
    parser.add_argument("scenes", type=int)
    parser.add_argument("--years", type=int, default=1)
    parser.add_argument("--different", type=int)
    parser.add_argument("--sites-per-edge", type=int, default=1)
    asked = parser.parse_args()
    years = tuple(range(_FIRST_YEAR, _FIRST_YEAR + asked.years))
    write_archive(asked.folder, asked.size_px, asked.scenes, years, asked.different, asked.sites_per_edge)


if __name__ == "__main__":
    main()
