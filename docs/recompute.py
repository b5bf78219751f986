"""Recompute areas of piles from pixels, with nothing of Stockline: stockline trace DIR ID --json | python recompute.py.

How an outline is drawn, and why so, stands in method.md; folders the files lie in are "roots" of the document read.
"""

import json

import numpy as np
import rasterio
from rasterio.warp import Resampling, reproject
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, zoom
from shapely import Polygon, contains_xy, get_parts, symmetric_difference_all, union_all
from skimage.measure import find_contours

CHAIN, FINE, PSF = json.load(open(0)), 3, 0.51  # points a pixel and axis; point spread in pixels


def reflectance(scene, band, window):  # where the scene's content belongs, resampled once; NaN is no data
    dn, to = np.full(window.shape, np.nan, "f4"), rasterio.Affine.translation(*scene["shift_m"]) @ window.transform
    for one in reversed([file for file in scene["files"] if file["band"] == band]):  # the first has the last word
        with rasterio.open(f"{CHAIN['roots'][one['root']]}/{one['path']}") as source:
            how = {"src_nodata": one["nodata_dn"], "resampling": Resampling[one["resampling"]]}
            reproject(rasterio.band(source, 1), dn, dst_transform=to, dst_crs=window.crs, init_dest_nodata=False, **how)
    return (dn + np.float32(scene["offset_dn"])) * np.float32(scene["scale"])


def contour(fine, level, member):  # of what meets the pile, freed of what the point spread took from it
    rings = [Polygon((line[:, ::-1] - 0.5) / FINE).buffer(0) for line in find_contours(np.pad(fine, 1), level)]
    y, x = np.indices(member.shape) + 0.5
    parts = [p for p in get_parts(symmetric_difference_all(rings)) if contains_xy(p, x[member], y[member]).any()]
    holes = [[h for h in p.interiors if (member[contains_xy(Polygon(h), x, y)] - 0.5).sum() <= 0] for p in parts]
    parts = [Polygon(part.exterior, open_) for part, open_ in zip(parts, holes, strict=True)]
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
        # What the pile is held against: free ground, from 2 to 4.5 pixels off its outline.
        ring = seen & ~binary_dilation(others) & ~member & (abs(distance_transform_edt(share < level) - 3.25) <= 1.25)
        bare = np.where(ring, (x - share * pile) / (1 - share), 0)
        weight, total = gaussian_filter(ring * 1.0, 1.5, radius=8), gaussian_filter(bare, 1.5, radius=8, axes=(1, 2))
        ground = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), middle(bare, ring))
        pile = middle((x - (1 - np.maximum(share, level)) * ground) / np.maximum(share, level), core)
        trust = np.maximum(ground - pile, 0) / np.maximum(1.4826 * middle(np.abs(bare - ground), ring), 0.004) ** 2
        fraction = (trust * (ground - x)).sum(axis=0) / np.maximum((trust * (ground - pile)).sum(axis=0), 1e-12)
        fraction = np.nan_to_num(np.where(own, fraction, np.minimum(fraction, 0)))  # what is not seen says nothing
        fine = zoom(fraction, FINE, order=3, mode="nearest", grid_mode=True)
    low, drawn, high = (contour(fine, level + step, member) for step in (-0.25, 0, 0.25))
    dust = (low.area - 2 * drawn.area + high.area - 2 * np.pi * (0.674 * PSF) ** 2) / drawn.length - 0.025
    moved = np.clip(1.7 * np.clip((drawn.length - 12) / 16, 0, 1) * dust, 0, 0.25) * (low.area * high.area > 0)
    drawn = contour(fine, level + min(0.25 * moved * drawn.length / max(drawn.area - high.area, 1e-6), 0.25), member)
    (east, north), ground = place @ (drawn.centroid.x, drawn.centroid.y), middle(bare, ring).mean()
    area = drawn.area * abs(place.determinant) / (0.9996 + (east - 500_000) ** 2 / 2 / 0.9996 / 6.371e6**2) ** 2
    return {"area_m2": area, "east_m": east, "north_m": north, "pile_level": pile.mean(), "background_level": ground}


found = {outline["address"]: measured(outline) for outline in CHAIN["outlines"]}
for made in CHAIN["made"]:  # the median of dates, then the sum of piles
    found[made["address"]] = {"area_m2": getattr(np, made["by"])([found[at]["area_m2"] for at in made["of"]])}
for at, stated in CHAIN["stated"].items():
    print(f"{at}:", ", ".join(f"{name} {found[at][name]:.4f} (stated {value:.4f})" for name, value in stated.items()))
off = [abs(found[at]["area_m2"] / stated["area_m2"] - 1) for at, stated in CHAIN["stated"].items() if stated["area_m2"]]
print(f"{len(off)} areas recomputed; the largest differs by {100 * max(off, default=0):.5f} % from the one stated")
