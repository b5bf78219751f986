"""DN to reflectance, and the offset verdict that pixels and metadata settle together. Pure.

Since processing baseline 04.00 products carry +1000 DN that must be taken off again, but archives
reprocess old scenes, apply the offset themselves, or say so wrongly. A forgotten offset makes coal
disappear, a doubled one turns everything into coal (science 2.1), so no scene is used on the
word of its metadata, and none by its sensing date.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models._rank_kernels import quantile, quantiles
from pipeline.config import RadiometryConfig
from pipeline.imagery import Asset, Calibration, Item
from pipeline.types import Bool, Float32, OffsetVerdict

OFFSET_DN = -1000.0
"""BOA_ADD_OFFSET of every band since baseline 04.00."""
SCALE = 1e-4
"""1 / BOA_QUANTIFICATION_VALUE."""
PROBE_BANDS = ("blue", "swir22")
"""One band of each resolution group: nearly all land is dark in blue, haze does not reach swir22."""

NEIGHBOURS = (("blue", "green"), ("green", "red"), ("nir", "nir08"))
"""Pairs that differ by less than 0.05 on the darkest ground and on most of it (science 1.1)."""
PAIRS = (*NEIGHBOURS, ("swir16", "swir22"), ("red", "nir"), ("red", "swir22"))
"""Pairs that join all bands; the last three depend on the site."""
_DARKEST = 0.005
"""Share of the pixels that is darker than what counts as the darkest ground: single pixels are not believed."""
_LAND_DN = 1000.0
"""Raw nir or swir16 above this is land: water without the offset has 0.05 and less (science 1.1)."""

PixelWord = Literal["present", "absent", "conflict", "impossible", "veiled", "silent"]
_OFFSET_SAID: Mapping[PixelWord, float] = {"present": OFFSET_DN, "absent": 0.0}


def to_reflectance(dn: Float32, calibration: Calibration) -> Float32:
    """Reflectance ``(DN + offset) * scale``; negative values are kept, NaN stays NaN."""
    reflectance: Float32 = dn + np.float32(calibration.offset_dn)
    reflectance *= np.float32(calibration.scale)
    return reflectance


def declared_offset_dn(item: Item, asset: Asset, raw_dn: bool | None) -> float | None:
    """Offset in DN that the metadata ask for; None when they say nothing.

    A flag that the provider already applied the offset wins over a raster offset standing beside it
    (Earth Search items carry both). Where a provider that delivers raw DN declares no raster offset,
    the processing baseline decides.
    """
    baseline = item.processing_baseline
    by_baseline = None if baseline is None else (OFFSET_DN if baseline >= "04.00" else 0.0)
    if item.offset_applied is True:
        return 0.0
    if item.offset_applied is False and by_baseline is not None:
        return by_baseline
    if asset.offset is not None:
        return round(asset.offset / (asset.scale or SCALE), 3)
    return by_baseline if raw_dn else None


@dataclass(frozen=True)
class OffsetEvidence:
    """What the pixels of one scene show of the offset.

    Attributes
    ----------
    low_share : Mapping[str, float]
        Band to share of valid pixels whose DN is below the limit.
    dark_dn : Mapping[str, float]
        Band to the 0.5 % quantile of valid DN.
    level_dn : float or None
        First quartile of clear blue DN, compared between scenes; None where too little is clear.
    clipped_share : float
        Share of valid blue pixels at the lowest count a file can hold, 1 (0 is no data), or below; or of the
        land in another band, where that is more.
    darkest_dn : Mapping[str, float]
        Every band to the 0.5 % quantile of its clear DN; empty where too little is clear.
    pairs_dn : Mapping[tuple[str, str], tuple[float, float]]
        Pair of bands to the 0.5 % quantile and the first quartile of the second minus the first, pixel by pixel.
    """

    low_share: Mapping[str, float]
    dark_dn: Mapping[str, float]
    level_dn: float | None
    clipped_share: float = 0.0
    darkest_dn: Mapping[str, float] = field(default_factory=dict)
    pairs_dn: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)


def gather_evidence(dn: Mapping[str, NDArray[np.float32]], clear: Bool, config: RadiometryConfig) -> OffsetEvidence:
    """Collect offset evidence from raw DN.

    Parameters
    ----------
    dn : Mapping[str, Float32]
        Raw DN of the probe bands and of any others, NaN is no data.
    clear : Bool
        True where neither cloud nor snow lies, whatever the offset is.
    config : RadiometryConfig
    """
    low, dark = {}, {}
    for band in PROBE_BANDS:
        known = np.isfinite(dn[band])
        if known.any():
            low[band] = int(np.count_nonzero(dn[band] < config.low_dn)) / int(np.count_nonzero(known))
            dark[band] = quantile(dn[band], known, _DARKEST)
    valid = np.isfinite(dn["blue"])
    darkest_blue, level = _two_levels(dn["blue"], clear)
    enough = not np.isnan(level) and np.count_nonzero(clear & valid) >= config.level_min_share * valid.sum()
    land = _land(dn)
    clipped = max(_clipped(dn["blue"], valid), *(_clipped(band, land) for band in dn.values()))
    if not enough:
        return OffsetEvidence(low, dark, None, clipped)
    darkest = {b: darkest_blue if b == "blue" else quantile(values, clear, _DARKEST) for b, values in dn.items()}
    pairs = [(a, b) for a, b in PAIRS if a in dn and b in dn]
    between = {(a, b): _two_levels(dn[b] - dn[a], clear) for a, b in pairs}
    return OffsetEvidence(low, dark, level, clipped, darkest, between)


def _two_levels(values: NDArray[np.float32], clear: Bool) -> tuple[float, float]:
    """Darkest value and first quartile of clear pixels; NaN where there are none."""
    darkest, level = quantiles(values, clear, (_DARKEST, 0.25))
    return darkest, level


def _land(dn: Mapping[str, NDArray[np.float32]]) -> Bool:
    """Ground that is no water: only there is the lowest count of a band no reflectance."""
    bright = [dn[band] > _LAND_DN for band in ("nir", "swir16") if band in dn]
    return np.asarray(np.any([np.zeros(dn["blue"].shape, dtype=bool), *bright], axis=0))


def _clipped(band: NDArray[np.float32], where: Bool) -> float:
    return int(np.count_nonzero(where & (band <= 1.0))) / max(int(np.count_nonzero(where)), 1)


def pixel_word(evidence: OffsetEvidence, config: RadiometryConfig) -> tuple[PixelWord, bool]:
    """Whether the offset is in the data, by the pixels alone, and whether every probe band says so.

    ``absent`` when enough pixels are darker than any offset allows; ``present`` when none is and the
    darkest ground sits just above 1000; ``silent`` when nothing dark is in view; ``conflict`` when the
    two resolution groups disagree; ``impossible`` when the scene is darker than any surface even without
    an offset, as after taking it off twice.
    """
    darkest, level = min(evidence.dark_dn.values(), default=0.0), evidence.level_dn
    too_dark = darkest < config.dark_floor_dn or (level is not None and level < config.level_floor_dn)
    if too_dark or evidence.clipped_share > config.clipped_share:
        return "impossible", False
    words: list[PixelWord] = []
    for band, share in evidence.low_share.items():
        if share >= config.absent_share:
            words.append("absent")
        elif share <= config.present_share and evidence.dark_dn[band] <= config.present_dark_dn:
            words.append("present")
    said, whole = set(words), len(words) == len(PROBE_BANDS)
    if len(said) > 1:
        return "conflict", whole
    # Haze and cloud lift the darkest blue above 1000 too, so only both groups together say "present".
    if not said or (said == {"present"} and not whole):
        return "silent", False
    return words[0], whole


@dataclass(frozen=True)
class OffsetDecision:
    """The verdict on one scene; ``offset_dn`` is None when the scene must not be used."""

    verdict: OffsetVerdict
    offset_dn: float | None
    reason: str


def settle(declared_dn: float | None, word: PixelWord, stack_dn: float | None) -> OffsetDecision:
    """Settle the offset of one scene; a truth table.

    Parameters
    ----------
    declared_dn : float or None
        From the metadata.
    word : PixelWord
        From the scene's own pixels.
    stack_dn : float or None
        0 or -1000 by comparison with the other scenes; None when that does not decide.
    """
    if declared_dn not in (None, 0.0, OFFSET_DN):
        return _quarantined(f"declared offset of {declared_dn:g} DN is neither 0 nor -1000")
    if word == "conflict":
        return _quarantined("10 m and 20 m bands disagree on the offset")
    if word == "impossible":
        return _quarantined("darker than any surface, as if the offset had been taken off twice")
    if word == "veiled":
        return OffsetDecision(
            "undecidable", None, "not as bright as the other scenes: haze or cloud may hide the offset"
        )
    if word == "silent":
        return _settle_by_stack(declared_dn, stack_dn)
    return _settle_by_pixels(declared_dn, _OFFSET_SAID[word], stack_dn)


def _quarantined(reason: str) -> OffsetDecision:
    return OffsetDecision("quarantined", None, reason)


def _settle_by_pixels(declared_dn: float | None, own: float, stack_dn: float | None) -> OffsetDecision:
    """Settle a scene whose own dark pixels say which offset is in the data."""
    if stack_dn is not None and stack_dn != own:
        return _quarantined("dark pixels and the other scenes disagree on the offset")
    if declared_dn not in (None, own):
        if stack_dn is None:
            return _quarantined("metadata and dark pixels disagree on the offset")
        said = "declared" if declared_dn else "not declared"
        return OffsetDecision("corrected", own, f"offset {said}, but dark pixels and the other scenes show otherwise")
    return OffsetDecision("consistent", own, "")


def _settle_by_stack(declared_dn: float | None, stack_dn: float | None) -> OffsetDecision:
    if stack_dn is None:
        return OffsetDecision("undecidable", None, "nothing dark in view to settle the offset")
    if declared_dn is None or declared_dn == stack_dn:
        return OffsetDecision("consistent", stack_dn, "")
    return _quarantined("metadata and the other scenes disagree on the offset")


def stack_offset(level_dn: float | None, reference: float | None, config: RadiometryConfig) -> float | None:
    """Which offset brings a scene's blue level nearest to the other scenes' (0 or -1000 DN); None undecided."""
    if level_dn is None or reference is None:
        return None
    distance = {offset: abs((level_dn + offset) * SCALE - reference) for offset in (0.0, OFFSET_DN)}
    best = min(distance, key=lambda offset: distance[offset])
    other = 0.0 if best else OFFSET_DN
    near = distance[best] <= config.stack_spread
    return best if near and distance[other] > config.stack_tolerance else None


def decide_offsets(
    declared: Sequence[float | None], evidence: Sequence[OffsetEvidence], config: RadiometryConfig
) -> list[OffsetDecision]:
    """Settle the offset of every scene of a site.

    Scenes whose metadata and pixels agree in every probe band make the reference the others are held against.
    A veil that lifts all bands alike by 0.1 cannot be told from the offset; taken for it, the scene still
    comes out as bright as the others.
    """
    words = [pixel_word(e, config) for e in evidence]
    levels = [_ground_level(word, e, config) for (word, _), e in zip(words, evidence, strict=True)]
    agreed = [
        level
        for d, (word, whole), level in zip(declared, words, levels, strict=True)
        if whole and level is not None and d in (None, _OFFSET_SAID[word])
    ]
    reference = float(np.median(agreed)) if agreed else None
    decisions = []
    for d, e, (word, whole), level in zip(declared, evidence, words, levels, strict=True):
        veiled = word in _OFFSET_SAID and _is_veiled(level, reference, config, whole=whole)
        decisions.append(settle(d, "veiled" if veiled else word, stack_offset(e.level_dn, reference, config)))
    return decisions


def _ground_level(word: PixelWord, evidence: OffsetEvidence, config: RadiometryConfig) -> float | None:
    """Blue reflectance of a scene with the offset its pixels say; None where that is not the brightness of ground."""
    if evidence.level_dn is None or word not in _OFFSET_SAID:
        return None
    level_dn = evidence.level_dn + _OFFSET_SAID[word]
    return level_dn * SCALE if level_dn <= config.level_ceiling_dn else None


def _is_veiled(level: float | None, reference: float | None, config: RadiometryConfig, *, whole: bool) -> bool:
    """Whether a scene whose dark pixels speak is too unlike ground, or the other scenes, for them to be believed."""
    if level is None:
        return True
    return not whole if reference is None else abs(level - reference) > config.stack_tolerance
