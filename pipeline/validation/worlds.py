"""One world: things on a ground, written as the archive a provider would deliver, and what is true of it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from pipeline.sources._sim_sky import Sky, make_sky, seen_through, sky_at
from pipeline.validation.archive import EDGE_M, NAMES, REAL, Made, World, write_band, write_catalog, write_item
from pipeline.validation.days import Day, draw_days
from pipeline.validation.draw import Thing, draw_things
from pipeline.validation.grounds import Ground, read_real_ground, simulated_ground
from pipeline.validation.materials import BANDS
from pipeline.validation.render import PSF_SIGMA_M, RESOLUTION_M, Patch, make_patch, put

Float32 = NDArray[np.float32]

_OFFSET_DN = 1000
_NOISE = dict(zip(BANDS, (0.0025, 0.0025, 0.0025, 0.003, 0.003, 0.004, 0.004), strict=True))
_WET_SWIR = 0.05
_REAL_NOISE = 0.6
"""Real scenes bring noise of their own; each repetition gets this share of it anew."""
_SKY_HALF_M = 3300.0


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
    write_catalog(made)
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
            seen = seen_through(above, NAMES[band], seen + np.float32(day.path))
        seen = seen + rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(spread * _NOISE[band])
        dn = np.rint(seen * 1e4 + (_OFFSET_DN if day.scene.offset_in_dn else 0))
        write_band(folder / f"{NAMES[band]}.tif", np.clip(dn, 1, 65535).astype(np.uint16), made, RESOLUTION_M[band])
    if scl is not None:
        write_band(folder / "SCL.tif", scl, made, 20)
    write_item(folder, made, day, scl=scl is not None)


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
