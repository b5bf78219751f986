"""Recompute areas of piles from pixels, with nothing of Stockline: stockline trace DIR ID --json | python recompute.py.

How an outline is drawn, and why so, stands in method.md; folders the files lie in are "roots" of the document read.
"""
# ruff: noqa: ANN001, ANN201, D103, INP001, PLR2004, T201

import json
import sys

import numpy as np
import rasterio
from rasterio.warp import Resampling, reproject
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, zoom
from shapely import Polygon, contains_xy, get_parts, symmetric_difference_all, union_all
from skimage.measure import find_contours

CHAIN, FINE, PSF = json.load(sys.stdin), 3, 0.51  # points a pixel and axis; point spread in pixels


def reflectance(scene, band, window):  # where the scene's content belongs, resampled once; NaN is no data
    dn = np.full(window.shape, np.nan, np.float32)
    to = {"dst_transform": rasterio.Affine.translation(*scene["shift_m"]) @ window.transform, "dst_crs": window.crs}
    for file in (file for file in scene["files"] if file["band"] == band):
        with rasterio.open(f"{CHAIN['roots'][file['root']]}/{file['path']}") as source:
            how = {"src_nodata": file["nodata_dn"], "dst_nodata": np.nan, "resampling": Resampling[file["resampling"]]}
            own, _ = reproject(rasterio.band(source, 1), np.full_like(dn, np.nan), **to, **how)
        dn = np.where(np.isnan(dn), own, dn)
    return (dn + np.float32(scene["offset_dn"])) * np.float32(scene["scale"])


def contour(fine, level, member):  # of what meets the pile, freed of what the point spread took from it
    rings = [Polygon((line[:, ::-1] - 0.5) / FINE).buffer(0) for line in find_contours(np.pad(fine, 1), level)]
    (y, x), parts = np.indices(member.shape) + 0.5, []
    for part in get_parts(symmetric_difference_all(rings)):
        within = [(ring, contains_xy(Polygon(ring), x, y)) for ring in part.interiors]
        holes = [ring for ring, pixels in within if not pixels.any() or member[pixels].mean() <= 0.5]
        if contains_xy(part, x[member], y[member]).any():
            parts.append(Polygon(part.exterior, holes))
    return union_all([p.buffer(np.pi * PSF**2 * (1 - len(p.interiors)) / p.length) for p in parts])


def middle(values, where):
    return np.median(values[:, where], axis=1)[:, None, None]


def measured(outline):
    with rasterio.open(f"{CHAIN['roots'][outline['masks']['root']]}/{outline['masks']['path']}") as masks:
        kind, seen = (masks.read(outline["masks"][band]) for band in ("object_band", "usable_band"))
        scene, place, level = CHAIN["scenes"][outline["scene_id"]], masks.transform, outline["outline_level"]
        x = np.array([reflectance(scene, band, masks) for band in ("blue", "green", "red", "nir")], float)
    member, others, seen = kind & 1 > 0, kind & 2 > 0, (seen == 1) & np.isfinite(x).all(axis=0)
    depth, near = distance_transform_edt(member), distance_transform_edt(~member)
    own = seen & (near <= 3) & (near <= (distance_transform_edt(~others) if others.any() else np.inf))
    core = depth > 2 if (depth > 2).sum() >= 4 else member & (depth >= np.sort(depth[member])[-4:][0])
    fine, pile = np.kron(member, np.ones((FINE, FINE))), middle(x, core)
    for _ in range(4):  # outline and levels are found from each other
        share = np.minimum(gaussian_filter(1.0 * (fine > level), PSF * FINE, radius=6)[1::FINE, 1::FINE], 1 - 1e-9)
        away = distance_transform_edt(share < level)
        ring = seen & ~binary_dilation(others) & ~member & (away >= 2) & (away <= 4.5)
        bare = np.where(ring, (x - share * pile) / (1 - share), 0)
        weight, total = gaussian_filter(ring * 1.0, 1.5, radius=8), gaussian_filter(bare, 1.5, radius=8, axes=(1, 2))
        ground = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), middle(bare, ring))
        pile = middle((x - (1 - np.maximum(share, level)) * ground) / np.maximum(share, level), core)
        spread = np.maximum(1.4826 * middle(np.abs(bare - ground), ring), 0.004)
        trust = np.maximum(ground - pile, 0) / spread**2
        top, bottom = (trust * (ground - x)).sum(axis=0), (trust * (ground - pile)).sum(axis=0)
        fraction = np.divide(top, bottom, out=np.zeros(seen.shape), where=seen & (bottom > 0))
        fine = zoom(np.where(own, fraction, np.minimum(fraction, 0)), FINE, order=3, mode="nearest", grid_mode=True)
    low, drawn, high = (contour(fine, level + step, member) for step in (-0.25, 0, 0.25))
    dust = (low.area - 2 * drawn.area + high.area - 2 * np.pi * (0.674 * PSF) ** 2) / drawn.length - 0.025
    moved = np.clip(1.7 * np.clip((drawn.length - 12) / 16, 0, 1) * dust, 0, 0.25) * (low.area * high.area > 0)
    drawn = contour(fine, level + min(0.25 * moved * drawn.length / max(drawn.area - high.area, 1e-6), 0.25), member)
    east, north = place @ (drawn.centroid.x, drawn.centroid.y)
    scale = 0.9996 * (1 + (east - 500_000) ** 2 / 2 / (0.9996 * 6.371e6) ** 2)  # of lengths in the UTM zone
    found = {"area_m2": drawn.area * abs(place.determinant) / scale**2, "east_m": east, "north_m": north}
    return found | {"pile_level": pile.mean(), "background_level": middle(bare, ring).mean()}


found = {outline["address"]: measured(outline) for outline in CHAIN["outlines"]}
for made in CHAIN["made"]:  # the median of dates, then the sum of piles
    found[made["address"]] = {"area_m2": getattr(np, made["by"])([found[at]["area_m2"] for at in made["of"]])}
for at, stated in CHAIN["stated"].items():
    print(f"{at}:", ", ".join(f"{name} {found[at][name]:.4f} (stated {value:.4f})" for name, value in stated.items()))
off = [abs(found[at]["area_m2"] / stated["area_m2"] - 1) for at, stated in CHAIN["stated"].items() if stated["area_m2"]]
print(f"{len(off)} areas recomputed; the largest differs by {100 * max(off, default=0):.5f} % from the one stated")
