"""Recompute areas of piles from pixels, with nothing of Stockline: stockline trace DIR ID --json | python recompute.py.

How an outline is drawn, and why so, stands in method.md; other places of the files go into "roots" of the document.
"""

import json
import sys

import numpy as np
import rasterio
import shapely
from rasterio.warp import Resampling, reproject
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, zoom
from skimage.measure import find_contours

FINE, PSF, CHAIN = 3, 0.51, json.load(sys.stdin)


def opened(file):
    return rasterio.open(f"{CHAIN['roots'][file['root']]}/{file['path']}")


def reflectance(scene, band, window):
    """Read a band of a scene where its content belongs; NaN is no data."""
    dn = np.full(window.shape, np.nan, np.float32)
    there = rasterio.Affine.translation(scene["shift_x_m"], scene["shift_y_m"]) @ window.transform
    for file in (file for file in scene["files"] if file["band"] == band):
        with opened(file) as source:
            known = {"src_nodata": file["nodata_dn"], "dst_nodata": np.nan}
            how = Resampling.cubic if source.res[0] <= 15 else Resampling.bilinear
            own = np.full_like(dn, np.nan)
            reproject(rasterio.band(source, 1), own, dst_transform=there, dst_crs=window.crs, resampling=how, **known)
        dn = np.where(np.isnan(dn), own, dn)
    return (dn + np.float32(scene["offset_dn"])) * np.float32(scene["scale"])


def contour(fine, level, member):
    """Outline what exceeds a level and meets the pile, freed of what the point spread took from it."""
    lines = find_contours(np.pad(fine, 1), level)
    rings = [shapely.Polygon((line[:, ::-1] - 0.5) / FINE).buffer(0) for line in lines]
    (y, x), parts = np.indices(member.shape) + 0.5, []
    for part in shapely.get_parts(shapely.symmetric_difference_all(rings)):
        inside = [shapely.contains_xy(shapely.Polygon(ring), x, y) for ring in part.interiors]
        holes = [r for r, px in zip(part.interiors, inside, strict=True) if not px.any() or member[px].mean() <= 0.5]
        whole = shapely.Polygon(part.exterior, holes)
        if shapely.contains_xy(part, x[member], y[member]).any():
            parts.append(whole.buffer(np.pi * PSF**2 * (1 - len(holes)) / whole.length))
    return shapely.union_all(parts)


def middle(values, where):
    return np.median(values[:, where], axis=1)[:, None, None]


def area_m2(outline):
    """Outline a pile on a date and measure it."""
    with opened(outline["masks"]) as masks:
        ground_is, seen = (masks.read(outline["masks"][kind]) for kind in ("object_band", "usable_band"))
        scene, place, level = CHAIN["scenes"][outline["scene_id"]], masks.transform, outline["outline_level"]
        x = np.array([reflectance(scene, band, masks) for band in ("blue", "green", "red", "nir")], float)
    member, others, seen = ground_is & 1 > 0, ground_is & 2 > 0, (seen == 1) & np.isfinite(x).all(axis=0)
    near, depth = distance_transform_edt(~member), distance_transform_edt(member)
    within = seen & (near <= 3) & (near <= (distance_transform_edt(~others) if others.any() else np.inf))
    free = seen & ~binary_dilation(others) & ~member
    core = depth > 2 if (depth > 2).sum() >= 4 else member & (depth >= np.sort(depth[member])[-4:][0])
    shape, pile = np.kron(member, np.ones((FINE, FINE))), middle(x, core)
    for _ in range(4):
        share = np.minimum(gaussian_filter(shape, PSF * FINE, radius=6)[1::FINE, 1::FINE], 1 - 1e-9)
        away = distance_transform_edt(share < level)
        ring = free & (away >= 2) & (away <= 4.5)
        bare = np.where(ring, (x - share * pile) / (1 - share), 0)
        weight, total = gaussian_filter(ring * 1.0, 1.5, radius=8), gaussian_filter(bare, 1.5, radius=8, axes=(1, 2))
        ground = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), middle(bare, ring))
        spread = np.maximum(1.4826 * middle(np.abs(bare - ground), ring), 0.004)
        pile = middle((x - (1 - np.maximum(share, level)) * ground) / np.maximum(share, level), core)
        gap = np.maximum(ground - pile, 0) / spread**2
        top, bottom = (gap * (ground - x)).sum(axis=0), (gap * (ground - pile)).sum(axis=0)
        fraction = np.divide(top, bottom, out=np.zeros(seen.shape), where=bottom > 0)
        held = np.where(within, fraction, np.where(seen, np.minimum(fraction, 0), 0))
        fine = zoom(held, FINE, order=3, mode="nearest", grid_mode=True)
        shape = 1.0 * (fine > level)
    low, drawn, high = (contour(fine, level + step, member) for step in (-0.25, 0, 0.25))
    dust = (low.area - 2 * drawn.area + high.area - 2 * np.pi * (0.674 * PSF) ** 2) / drawn.length - 0.025
    moved = np.clip(1.7 * np.clip((drawn.length - 12) / 16, 0, 1) * dust, 0, 0.25) * (low.area * high.area > 0)
    drawn = contour(fine, level + min(0.25 * moved * drawn.length / max(drawn.area - high.area, 1e-6), 0.25), member)
    east = (place @ (drawn.centroid.x, drawn.centroid.y))[0] - 500_000
    return drawn.area * abs(place.determinant) / (0.9996 * (1 + east**2 / 2 / (0.9996 * 6.371e6) ** 2)) ** 2


found = {outline["address"]: area_m2(outline) for outline in CHAIN["outlines"]}
for made in CHAIN["made"]:  # the median of dates, the sum of piles
    found[made["address"]] = getattr(np, made["by"])([found[address] for address in made["of"]])
for address, area in found.items():
    stated = CHAIN["stated_m2"][address]
    print(f"{address}: stated {stated:.1f} m2, recomputed {area:.1f} m2, {100 * (area / stated - 1):+.5f} %")
