"""Whether every band of a scene carries the offset its scene was given: faults of single bands. Pure.

Files are processed one by one, so one band can be left out or treated twice. The verdict of the whole scene
rests on blue and swir22; here each band is held against its neighbour in the spectrum, in the scene itself and
in the other scenes of the site (science 2.1).
"""

from collections.abc import Sequence

import numpy as np

from pipeline.config import RadiometryConfig
from pipeline.radiometry import NEIGHBOURS, OFFSET_DN, SCALE, OffsetEvidence

_NIR_ALONE = ("red", "nir")
"""Asked where no nir08 of its own vouches for nir; the season moves it more than any other pair."""
_ACROSS = (_NIR_ALONE, ("red", "swir22"))
"""Pairs of which only the low end is steady: bare ground and water, whatever grows beside them."""
_MIN_SCENES = 3
"""Fewer others have no middle to be held against."""
_MAD_TO_SIGMA = 1.4826


def band_faults(
    offsets_dn: Sequence[float | None], evidence: Sequence[OffsetEvidence], config: RadiometryConfig
) -> list[str | None]:
    """Say for every scene which of its bands does not carry the scene's offset; None where none is found.

    Parameters
    ----------
    offsets_dn : sequence of float or None
        As settled for the whole scene; None for scenes that are not used, of which nothing is said or learnt.
    evidence : sequence of OffsetEvidence
        Of the same scenes.
    config : RadiometryConfig
    """
    used = [offset is not None for offset in offsets_dn]
    alone = [
        None if offset is None else _wrong_alone(offset, seen, config)
        for offset, seen in zip(offsets_dn, evidence, strict=True)
    ]
    sound = [is_used and wrong is None for is_used, wrong in zip(used, alone, strict=True)]
    found = list(alone)
    for place in (n for n, good in enumerate(sound) if good):
        others = [e for n, (e, good) in enumerate(zip(evidence, sound, strict=True)) if good and n != place]
        found[place] = _wrong_among(evidence[place], others, config)
    return found


def _wrong_alone(offset_dn: float, evidence: OffsetEvidence, config: RadiometryConfig) -> str | None:
    """Say which band contradicts the offset by the scene itself."""
    for band, darkest_dn in evidence.darkest_dn.items():
        if darkest_dn + offset_dn < config.dark_floor_dn:
            return f"band {band} is darker than any surface with the offset of the other bands"
    for pair in NEIGHBOURS:
        low, quartile = (value * SCALE for value in evidence.pairs_dn.get(pair, (0.0, 0.0)))
        if min(abs(low), abs(quartile)) > config.stack_tolerance and low * quartile > 0:
            return f"bands {pair[0]} and {pair[1]} do not carry the same offset"
    return None


def _wrong_among(own: OffsetEvidence, others: Sequence[OffsetEvidence], config: RadiometryConfig) -> str | None:
    """Say which pair of bands stands apart, by the offset, from what it is in the other scenes."""
    for pair, values in own.pairs_dn.items():
        if pair == _NIR_ALONE and any(own.pairs_dn.get(("nir", "nir08"), ())):
            continue
        known = np.array([scene.pairs_dn[pair] for scene in others if pair in scene.pairs_dn]) * SCALE
        if len(known) < _MIN_SCENES:
            continue
        middle = np.median(known, axis=0)
        spread = _MAD_TO_SIGMA * np.median(np.abs(known - middle), axis=0)
        # What changes with the season says nothing: two deviations must stay within the tolerance.
        steady = (2 * spread <= config.stack_tolerance) & np.array([True, pair not in _ACROSS])
        off = np.array(values) * SCALE - middle
        by_offset = np.abs(np.abs(off) - abs(OFFSET_DN) * SCALE) <= config.stack_spread
        # An offset moves all ground; snow and the edges of clouds move the low end alone.
        moved = np.array([pair == _NIR_ALONE or off[1] * np.sign(off[0]) > config.stack_spread, True])
        if np.any(steady & by_offset & moved & (np.abs(off) > config.stack_tolerance)):
            return f"bands {pair[0]} and {pair[1]} differ by the offset from the other scenes"
    return None
