"""Scene pass: offset verdict, clear fraction and one shift per scene."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.align import match
from pipeline.band_check import band_faults
from pipeline.clear import CLEAR, SHADOW, VEIL_BANDS, classify, sun_position, veil
from pipeline.config import ClearConfig, Config
from pipeline.edges import edges
from pipeline.findings import PreparedScene
from pipeline.grid import Block, blocks, burn, reproject, window
from pipeline.imagery import Calibration, Image, StoredScene
from pipeline.learned import cloud_and_shadow
from pipeline.pixels import read_image, read_raw
from pipeline.radiometry import (
    SCALE,
    OffsetDecision,
    OffsetEvidence,
    decide_offsets,
    declared_offset_dn,
    gather_evidence,
)
from pipeline.types import Bool, Float32, Grid, Site

BANDS = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22", "scl")
"""Every band that is fetched."""
CLEAR_BANDS = ("blue", "green", "red", "nir", "swir16", "scl")
"""What the mask of one date needs; a trained mask needs swir22 too."""
HALO_PX = 16
"""Blocks overlap by more than any neighbourhood a date's mask looks at (cloud dilation, 10 px)."""
_REGISTER_BANDS = ("green", "red", "nir")
"""Bands of 10 m a shift is measured in; blue adds haze, and what it knows red and green know."""
_CHECK_BAND = "swir16"
"""The other resolution group and detector: half its disagreement is the residual."""
_CHECK_PIXEL_M = 20.0
_REGISTER_PX = 1024
"""Registration looks at the middle of a large AOI: one shift per scene is all that is applied."""
_BRIGHT_DN = 4000.0
"""Blue DN above this is cloud or snow whether the offset is in the data or not."""
_SCL_BRIGHT = (0, 1, 3, 8, 9, 10, 11)


@dataclass(frozen=True)
class Inspection:
    """What metadata and pixels of one scene say of its offset."""

    declared_dn: float | None
    evidence: OffsetEvidence


def inspect(stored: StoredScene, grid: Grid, config: Config) -> Inspection:
    """Gather what settles the offset of one scene, from its metadata and its raw DN."""
    raw = read_raw(stored, middle(grid)[2], BANDS)
    clear: Bool = raw["blue"] < _BRIGHT_DN
    scl = raw.pop("scl", None)
    if scl is not None:
        clear &= ~np.isin(scl, _SCL_BRIGHT)
    return Inspection(_declared_dn(stored, config), gather_evidence(raw, clear, config.radiometry))


def _declared_dn(stored: StoredScene, config: Config) -> float | None:
    """Return the offset all bands of a scene declare; NaN, which none can be, where offsets or scales differ."""
    assets = [(item, asset) for item in stored.scene.items for band, asset in item.assets.items() if band != "scl"]
    offsets = {declared_offset_dn(item, asset, config.source.raw_dn) for item, asset in assets}
    scales = {asset.scale or SCALE for _, asset in assets}
    return offsets.pop() if len(offsets) == 1 and scales == {SCALE} else float("nan")


def calibrate(
    stored: Sequence[StoredScene], inspections: Sequence[Inspection], site: Site, config: Config
) -> list[PreparedScene]:
    """Settle the offset of every scene of a site; those that stay open are not used."""
    evidence = [i.evidence for i in inspections]
    decisions = decide_offsets([i.declared_dn for i in inspections], evidence, config.radiometry)
    scenes = [_prepared(s, d, site, config) for s, d in zip(stored, decisions, strict=True)]
    offsets = [scene.calibration.offset_dn if scene.used else None for scene in scenes]
    wrong = band_faults(offsets, evidence, config.radiometry)
    return [_checked(*known) for known in zip(scenes, evidence, wrong, strict=True)]


def _checked(scene: PreparedScene, evidence: OffsetEvidence, wrong_band: str | None) -> PreparedScene:
    """Refuse a scene without data, or one of whose bands carries another offset."""
    if not evidence.dark_dn:
        return scene.refuse("no data over the AOI")
    if wrong_band is not None:
        return replace(scene, offset_verdict="quarantined").refuse(f"offset quarantined: {wrong_band}")
    return scene


def _prepared(stored: StoredScene, decision: OffsetDecision, site: Site, config: Config) -> PreparedScene:
    centre = site.aoi.centroid
    zenith, azimuth = sun_position(stored.scene.datetime, centre.x, centre.y)
    first = stored.scene.items[0].assets.get("red")
    scale = (first.scale if first else None) or Calibration.scale
    calibration = Calibration(scale=scale, offset_dn=decision.offset_dn or 0.0)
    scene = PreparedScene(stored, calibration, azimuth, used=True, offset_verdict=decision.verdict)
    if decision.offset_dn is None:
        return scene.refuse(f"offset {decision.verdict}: {decision.reason}")
    if zenith > config.clear.max_sun_zenith_deg:
        return scene.refuse(f"sun {zenith:.0f} degrees from the zenith, limit {config.clear.max_sun_zenith_deg:g}")
    return replace(scene, reason=decision.reason or None)


def survey(scene: PreparedScene, site: Site, grid: Grid, config: Config) -> PreparedScene:
    """Measure how much of the AOI one scene shows; scenes that show too little are not used.

    The scene is looked at block by block, as the block pass will: what a block cannot see, its mask does not know.
    """
    if not scene.used:
        return scene
    aoi, parts = reproject(site.aoi, 4326, grid.epsg), list(blocks(grid, config.limits.block_px, HALO_PX))
    step = math.ceil(math.sqrt(len(parts)))
    views = [_view(scene, aoi, block, step, config) for block in parts]
    inside, seen = (sum(pixels) for pixels in zip(*((v.inside_px, v.seen_px) for v in views), strict=True))
    fraction = seen / inside if inside else 0.0
    surveyed = replace(scene, clear_fraction=round(fraction, 4))
    if not any(view.data for view in views):
        return surveyed.refuse("no data over the AOI")
    if fraction < config.clear.min_clear_fraction:
        return surveyed.refuse(f"only {fraction:.0%} of the AOI is clear, limit {config.clear.min_clear_fraction:.0%}")
    bands = {band: np.concatenate([view.sample[band] for view in views]) for band in views[0].sample}
    haze = veil(bands, np.ones(bands["blue"].shape, dtype=bool))
    if haze > config.clear.max_veil:
        return surveyed.refuse(f"veiled: haze of {haze:.3f} over dark ground, limit {config.clear.max_veil:g}")
    return surveyed


@dataclass(frozen=True)
class _View:
    """What one block shows of the AOI on one date.

    Attributes
    ----------
    inside_px, seen_px : int
        Pixels of the AOI, and those of them that are clear or suspected of shadow.
    data : bool
        Whether any pixel of the block has data.
    sample : Mapping[str, Float32]
        Reflectance of clear pixels of the AOI, shape (pixels,): all of an AOI of one block, evenly spaced ones of a
        larger AOI, about as many as a block has in all.
    """

    inside_px: int
    seen_px: int
    data: bool
    sample: Mapping[str, Float32]


def _view(scene: PreparedScene, aoi: BaseGeometry, block: Block, step: int, config: Config) -> _View:
    """Look at one block of one scene; every ``step``-th pixel of a row or column is sampled."""
    image = read_image(scene.stored, block.grid, _clear_bands(config.clear), scene.calibration)
    codes = scene_codes(image, scene.sun_azimuth_deg, config.clear)[block.inner]
    inside = _inside(aoi, block.grid)[block.inner]
    thin = np.s_[::step, ::step]
    clear = (inside & (codes == CLEAR))[thin]
    return _View(
        inside_px=int(np.count_nonzero(inside)),
        seen_px=int(np.count_nonzero(inside & ((codes == CLEAR) | (codes == SHADOW)))),
        data=bool(codes.any()),
        sample={band: image.bands[band][block.inner][thin][clear] for band in VEIL_BANDS},
    )


def _inside(aoi: BaseGeometry, grid: Grid) -> Bool:
    """Pixels of a block that lie in the AOI."""
    bits = np.unpackbits(_burned(aoi, grid), count=grid.height * grid.width)
    return bits.view(bool).reshape(grid.shape)


@functools.lru_cache(maxsize=256)
def _burned(aoi: BaseGeometry, grid: Grid) -> NDArray[np.uint8]:
    """Burn the AOI onto a block, as bits: every scene of a site is looked at through the same mask."""
    return np.packbits(burn(aoi, grid))


def scene_codes(image: Image, sun_azimuth_deg: float, config: ClearConfig) -> NDArray[np.uint8]:
    """Codes of one date by the mask the configuration names; see :func:`pipeline.clear.classify`."""
    trained = image.scl is None and config.without_scl == "csmask"
    return classify(image, sun_azimuth_deg, config, cloud_and_shadow(image.bands) if trained else None)


def _clear_bands(config: ClearConfig) -> tuple[str, ...]:
    return (*CLEAR_BANDS, "swir22") if config.without_scl == "csmask" else CLEAR_BANDS


def choose_reference(scenes: Sequence[PreparedScene]) -> PreparedScene | None:
    """Choose the scene all others are aligned to: the clearest; among equals the one nearest midsummer."""
    used = [s for s in scenes if s.used]
    if not used:
        return None
    midsummer = 172
    return max(
        used,
        key=lambda s: (
            round(s.clear_fraction or 0.0, 2),
            -abs(s.stored.scene.date.timetuple().tm_yday - midsummer),
            s.stored.scene.scene_id,
        ),
    )


@dataclass(frozen=True)
class Reference:
    """The scene all others of a site are aligned to; ``path`` holds what it shows, for all tasks: see :func:`draw`."""

    scene: PreparedScene
    path: Path


def draw(scene: PreparedScene | None, grid: Grid, config: Config, folder: Path) -> Reference | None:
    """Draw the edges of the reference scene once for all others; written as bands of edges, then 1 where clear."""
    if scene is None:
        return None
    found, clear = _edges(scene, grid, config)
    path = folder / "reference.npy"
    np.save(path, np.concatenate([found, clear[np.newaxis]], dtype=np.float32))
    return Reference(scene, path)


def register(scene: PreparedScene, reference: Reference | None, grid: Grid, config: Config) -> PreparedScene:
    """Measure one scene's shift against the reference; scenes that cannot be placed are not used."""
    if not scene.used or reference is None or scene.stored.scene == reference.scene.stored.scene:
        return replace(scene, registered=scene.used)
    moving, clear = _edges(scene, grid, config)
    fixed: Float32 = np.asarray(np.load(reference.path, mmap_mode="r"))
    clear &= fixed[-1] > 0
    first = len(_REGISTER_BANDS)
    shift, check = match([(fixed[:first], moving[:first]), (fixed[first:-1], moving[first:])], clear)
    if shift is None or check is None:
        return scene.refuse("cannot be registered: too little in common with the reference scene")
    residual_m = round(float(np.hypot(shift.x_m - check.x_m, shift.y_m - check.y_m)) / 2, 2)
    placed = replace(scene, residual_m=residual_m)
    if residual_m > config.align.max_residual_m:
        return placed.refuse(f"registration residual {residual_m:.1f} m, limit {config.align.max_residual_m:g} m")
    sigma_m = max(shift.sigma_x_m, shift.sigma_y_m)
    if sigma_m > config.align.max_sigma_m:
        return placed.refuse(f"shift known to {sigma_m:.1f} m only, limit {config.align.max_sigma_m:g} m")
    shift_m = float(np.hypot(shift.x_m, shift.y_m))
    if shift_m > config.align.max_shift_m:
        return placed.refuse(f"shift of {shift_m:.0f} m, limit {config.align.max_shift_m:g} m")
    calibration = replace(scene.calibration, shift_x_m=round(shift.x_m, 2), shift_y_m=round(shift.y_m, 2))
    return replace(placed, calibration=calibration, registered=True)


def _edges(scene: PreparedScene, grid: Grid, config: Config) -> tuple[Float32, Bool]:
    """Edges of the bands a shift is measured in, the check band last, and where the middle of a scene is clear."""
    image = read_image(scene.stored, middle(grid)[2], _clear_bands(config.clear), scene.calibration)
    codes = scene_codes(image, scene.sun_azimuth_deg, config.clear)
    fine, coarse = (np.stack([image.bands[b] for b in bands]) for bands in (_REGISTER_BANDS, (_CHECK_BAND,)))
    return np.concatenate([edges(fine), edges(coarse, _CHECK_PIXEL_M)]), (codes == CLEAR) | (codes == SHADOW)


def middle(grid: Grid) -> tuple[slice, slice, Grid]:
    """Return rows and columns of the middle of a grid, at most _REGISTER_PX on a side, and that window."""

    def span(length: int) -> slice:
        size = min(length, _REGISTER_PX)
        start = (length - size) // 4 * 2
        return slice(start, start + size)

    rows, columns = span(grid.height), span(grid.width)
    return rows, columns, window(grid, rows, columns)
