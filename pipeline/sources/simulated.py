"""A seeded archive with known truth: Sentinel-2's layout over three places that do not exist.

A static STAC catalogue of COGs at 10 and 20 m with SCL, two platforms, baselines before and after the
offset, and what makes real archives hard: seasons, point spread, noise, shifts, cloud and its shadow,
haze, snow, metadata that lie about the offset, and an overlap of two tiles on either side of a UTM zone
edge. The truth lies beside it. Everything made here says SIMULATED.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.config import Config, in_windows
from pipeline.errors import InputError, ProductError
from pipeline.imagery import Item
from pipeline.remote import Line
from pipeline.sources import stac
from pipeline.sources._files import deliver, price
from pipeline.sources._scene_model import make_ground
from pipeline.sources._sim_catalog import (
    NOTICE,
    catalog_document,
    claims_document,
    collection,
    item_document,
    item_id,
    site_document,
    truth_areas,
    truth_features,
)
from pipeline.sources._sim_render import RESOLUTION_M, render_scene, tile_image, true_sky
from pipeline.sources._sim_scenes import SimScene, plan_year
from pipeline.sources._sim_sites import SITES, SimSite

__all__ = ["PoolMap", "SiteYear", "deliver", "price", "search", "simulate", "write_site_year"]

PoolMap = Callable[..., Iterable[Any]]
"""Applies a function to each of some items and gives the results in order, as :func:`map` does."""

_YEARS = (2015, 2100)
_README = f"# SIMULATED archive\n\n{NOTICE}\n"
_CLOUD_CLASSES = (8, 9, 10)
_GOOD_SHARE = 0.8


@dataclass(frozen=True)
class SiteYear:
    """One task: a site's year, written into a folder."""

    folder: Path
    site_id: str
    year: int
    seed: int


def search(aoi: BaseGeometry, config: Config, line: Line) -> list[Item]:
    """Items of a simulated archive over an AOI, sorted by time and id.

    Raises
    ------
    InputError
        The catalogue is missing or holds a scene that is not simulated, which must not pass for one.
    SourceError
        No scene lies over the AOI in the configured years and windows.
    """
    items = stac.search(aoi, config, line)
    for item in items:
        if not item.simulated:
            raise InputError(
                f"source.kind = simulated: {item.id} of {config.source.url} is not; set source.kind to stac"
            )
    return items


def simulate(folder: Path, seed: int = 1, years: tuple[int, int] = (2018, 2023), pool_map: PoolMap = map) -> None:
    """Write a simulated archive: catalogue, pixels, site files, claims, configuration and truth.

    The same seed and years give the same bytes, in whatever order and number of processes. ``catalog.json``
    is written last, so an archive that has one is whole.

    Parameters
    ----------
    folder : Path
        Made when missing. An earlier simulation in it is replaced; results beside it stay.
    seed : int
        Not negative.
    years : (int, int)
        First and last year. Every year is the same whichever others are made.
    pool_map : callable
        Runs the tasks, each a site's year, e.g. the ``map`` of a pool; its function and items can be pickled.

    Raises
    ------
    InputError
        The folder holds something else than a simulation, or seed or years are out of range.
    ProductError
        A file cannot be written.
    """
    _check(folder, seed, years)
    span = range(years[0], years[1] + 1)
    try:
        _clear(folder)
        tasks = [SiteYear(folder, site_id, year, seed) for site_id in SITES for year in span]
        reports = list(pool_map(write_site_year, tasks))
        _write_settings(folder, span)
        _write_truth(folder, seed, span, reports)
        names = [scene["id"] for report in reports for scene in report["scenes"]]
        _write_json(folder / "catalog.json.part", catalog_document(names))
        (folder / "catalog.json.part").replace(folder / "catalog.json")
    except OSError as error:
        raise ProductError(
            f"{folder}: cannot be written ({error}); free disk space or choose another folder"
        ) from error


def write_site_year(task: SiteYear) -> dict[str, Any]:
    """Write every item of one site and year, and say what is true of them.

    Returns
    -------
    dict
        ``scenes``: one dict an item; ``summary``: how well the year can be seen. JSON values only.
    """
    site = SITES[task.site_id]
    ground = make_ground(site, task.year, task.seed)
    plan = plan_year(site, task.year, task.seed)
    scenes, usable = [], []
    for scene in plan:
        sky, seen = true_sky(scene)
        usable.append(seen)
        truth = _scene_truth(scene, float(seen.mean()), float((sky.cloud > 0.3).mean()))  # noqa: PLR2004 - as cover is asked for
        for tile_number in range(scene.tiles):
            name = item_id(site, scene, tile_number)
            pixels = render_scene(site, scene, ground, tile_number)
            _write_item(task.folder / name, site, scene, tile_number, pixels)
            tile = site.tiles[tile_number].mgrs
            scenes.append({"id": name, "site_id": site.id, "tile": tile, "primary": tile_number == 0, **truth})
    return {"scenes": scenes, "summary": {**truth_areas(site, task.year), **_seen(plan, usable)}}


def _check(folder: Path, seed: int, years: tuple[int, int]) -> None:
    if seed < 0:
        raise InputError(f"seed = {seed}: must not be negative")
    if not _YEARS[0] <= years[0] <= years[1] <= _YEARS[1]:
        raise InputError(f"years = {years[0]}-{years[1]}: must lie in {_YEARS[0]}-{_YEARS[1]}, the first year first")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not _is_simulation(folder):
        raise InputError(f"{folder}: holds something else than a simulation; name an empty or new folder")


def _is_simulation(folder: Path) -> bool:
    readme = folder / "README.md"
    return readme.is_file() and readme.read_bytes() == _README.encode()


def _clear(folder: Path) -> None:
    """Take away what an earlier simulation wrote and this one may not overwrite; the catalogue first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(_README, encoding="utf-8", newline="\n")
    (folder / "catalog.json").unlink(missing_ok=True)
    for item in sorted(folder.glob("S2[AB]_MSIL2A_*")):
        shutil.rmtree(item)


def _write_item(
    folder: Path, site: SimSite, scene: SimScene, tile_number: int, pixels: dict[str, NDArray[Any]]
) -> None:
    folder.mkdir()
    image = tile_image(site, site.tiles[tile_number])
    for band, array in pixels.items():
        with rasterio.open(
            folder / f"{band}.tif", "w", driver="COG", compress="deflate", overviews="NONE", blocksize=512, nodata=0,
            dtype=array.dtype.name, count=1, height=array.shape[0], width=array.shape[1],
            crs=f"EPSG:{image.epsg}", transform=image.transform(RESOLUTION_M[band]),
        ) as target:  # fmt: skip
            target.write(array, 1)
            target.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTICE)
    scl = pixels["SCL"]
    shares = {"cloud": float(np.isin(scl, _CLOUD_CLASSES).mean()), "no_data": float((scl == 0).mean())}
    _write_json(folder / f"{folder.name}.json", item_document(site, scene, tile_number, shares))


def _scene_truth(scene: SimScene, clear: float, cloud: float) -> dict[str, Any]:
    return {
        "date": scene.datetime.date().isoformat(),
        "platform": scene.platform,
        "processing_baseline": scene.processing_baseline,
        "offset_in_dn": scene.offset_in_dn,
        "offset_declared": scene.offset_declared,
        "shift_x_m": scene.shift_x_m,
        "shift_y_m": scene.shift_y_m,
        "clear_fraction": round(clear, 4),
        "cloud_fraction": round(cloud, 4),
        "haze": round(scene.haze, 4),
        "snow": scene.snow,
        "swath_edge": scene.swath_edge,
    }


def _seen(plan: Sequence[SimScene], usable: Sequence[NDArray[np.bool_]]) -> dict[str, Any]:
    """How often a year can be seen in each window, whatever its metadata say."""
    settings = Config()
    found: dict[str, Any] = {}
    for name in ("stockpile", "footprint"):
        window = getattr(settings.windows, name)
        seen = [mask for scene, mask in zip(plan, usable, strict=True) if in_windows(scene.datetime.date(), window)]
        often = np.sum(seen, axis=0) >= settings.min_dates
        found[name] = {
            "dates": len(seen),
            "good_dates": sum(bool(mask.mean() >= _GOOD_SHARE) for mask in seen),
            "seen_often_fraction": round(float(often.mean()), 4),
        }
    return {"windows": found}


def _write_settings(folder: Path, span: range) -> None:
    """Site files, claims and a configuration that measures the archive as it lies."""
    (folder / "aoi").mkdir(exist_ok=True)
    for site in SITES.values():
        _write_json(folder / "aoi" / f"{site.id}.geojson", site_document(site))
    config = {
        "source": {"kind": "simulated", "url": "catalog.json"},
        "sites": "aoi",
        "claims": "claims.yaml",
        "years": {"first": span[0], "last": span[-1]},
        "out": "results",
    }
    for name, document in (("config.yaml", config), ("claims.yaml", claims_document(span))):
        text = f"# {NOTICE}\n" + yaml.safe_dump(document, sort_keys=False, width=120)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _write_truth(folder: Path, seed: int, span: range, reports: Sequence[dict[str, Any]]) -> None:
    scenes = [scene for report in reports for scene in report["scenes"]]
    summaries = iter(reports)
    sites = {
        site.id: {
            "name": site.name,
            "epsg": site.tiles[0].epsg,
            "years": {str(year): next(summaries)["summary"] for year in span},
        }
        for site in SITES.values()
    }
    truth = {
        "notice": NOTICE,
        "seed": seed,
        "years": [span[0], span[-1]],
        "shift": "content that lies at p is delivered at p + shift, along the axes of the site's first tile",
        "good_dates": f"dates on which at least {_GOOD_SHARE:.0%} of the AOI is free of cloud, shadow and snow",
        "seen_often_fraction": "share of the AOI seen so on at least min_dates dates of the window",
        "offset_faults": sorted(s["id"] for s in scenes if s["offset_in_dn"] != s["offset_declared"]),
        "sites": sites,
        "scenes": scenes,
    }
    _write_json(folder / "truth.json", truth)
    features = [feature for site in SITES.values() for year in span for feature in truth_features(site, year)]
    _write_json(folder / "truth.geojson", collection(features))


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
