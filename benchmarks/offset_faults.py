"""Faults of the radiometric offset put into real pixels, and what becomes of the scenes.

One scene of an archive at a time is spoilt, all others stay as they are. A fault is caught when the scene is
not used, or used with the offset that is right for its pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from pipeline.band_check import band_faults
from pipeline.config import Config
from pipeline.radiometry import OFFSET_DN, OffsetEvidence, decide_offsets, gather_evidence

Pixels = Mapping[str, NDArray[np.float32]]
FILES = {
    "blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "nir08": "B8A", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
BRIGHT_DN = 4000.0
"""Blue above this is cloud or snow, as in the scene pass."""
GROUPS = {
    "10 m bands": ("blue", "green", "red", "nir"),
    "20 m bands": ("nir08", "swir16", "swir22"),
    "visible": ("blue", "green", "red"),
    "both nir": ("nir", "nir08"),
    "both swir": ("swir16", "swir22"),
}
_CONFIG = Config().radiometry


@dataclass(frozen=True)
class Delivered:
    """A scene as an archive delivers it: its DN (NaN is no data), what it declares, and the offset that is right."""

    dn: Pixels
    declared_dn: float | None
    right_dn: float


def read_archive(folder: Path, first: str = "") -> list[Delivered]:
    """Read the scenes, from a date (yyyymmdd) on, of an archive without the offset; empty ones are left out."""
    found = []
    for item in sorted(folder.glob("S2_*")):
        if item.name.rsplit("_", maxsplit=1)[-1] < first:
            continue
        dn = {}
        for band, name in FILES.items():
            if (item / f"{name}.tif").is_file():
                with rasterio.open(item / f"{name}.tif") as file:
                    values = file.read(1).astype(np.float32)
                dn[band] = np.where(values == 0, np.float32(np.nan), values)
        if np.isfinite(dn["blue"]).any():
            found.append(Delivered(dn, 0.0, 0.0))
    return found


def as_new(scene: Delivered) -> Delivered:
    """Return the same scene as a new baseline delivers it: 1000 in every band, and said so."""
    return Delivered({b: v - np.float32(OFFSET_DN) for b, v in scene.dn.items()}, OFFSET_DN, OFFSET_DN)


def moved(scene: Delivered, bands: Sequence[str], dn: float, *, clip: bool = False) -> Delivered:
    """Return the scene with so many DN added to some bands; ``clip`` stops at 1 as unsigned files do."""
    changed = {b: scene.dn[b] + np.float32(dn) for b in bands if b in scene.dn}
    if clip:
        changed = {b: np.where(np.isfinite(v), np.maximum(v, np.float32(1.0)), v) for b, v in changed.items()}
    return replace(scene, dn={**scene.dn, **changed})


def faults(scene: Delivered) -> Iterator[tuple[str, Delivered]]:
    """Every fault of a scene that delivers no offset, by name."""
    every, new = tuple(scene.dn), as_new(scene)
    yield "wrong flag: declared, not in the pixels", replace(scene, declared_dn=OFFSET_DN)
    yield "wrong flag: in the pixels, declared as applied", replace(new, declared_dn=0.0)
    yield "no flag, not in the pixels", replace(scene, declared_dn=None)
    yield "no flag, in the pixels", replace(new, declared_dn=None)
    yield "applied twice, signed", moved(scene, every, OFFSET_DN)
    yield "applied twice, clipped", moved(scene, every, OFFSET_DN, clip=True)
    for name, bands in {**{band: (band,) for band in every}, **GROUPS}.items():
        kind = "a group" if name in GROUPS else "one band"
        # What is right for a scene of which some bands differ is no offset at all.
        torn = float("nan")
        yield f"{kind} never applied ({name})", replace(moved(scene, bands, -OFFSET_DN), right_dn=torn)
        yield f"{kind} applied twice ({name})", replace(moved(scene, bands, OFFSET_DN, clip=True), right_dn=torn)
        yield (
            f"{kind} without it in a new product ({name})",
            replace(moved(new, bands, OFFSET_DN, clip=True), right_dn=torn),
        )


def evidence_of(scene: Delivered) -> OffsetEvidence:
    """Gather a scene's evidence as the scene pass does."""
    return gather_evidence(scene.dn, scene.dn["blue"] < BRIGHT_DN, _CONFIG)


def settled_dn(declared_dn: Sequence[float | None], evidence: Sequence[OffsetEvidence]) -> list[float | None]:
    """Offset every scene is used with as the scene pass settles it; None for scenes that are not used."""
    offsets = [decision.offset_dn for decision in decide_offsets(declared_dn, evidence, _CONFIG)]
    wrong = band_faults(offsets, evidence, _CONFIG)
    return [offset if reason is None else None for offset, reason in zip(offsets, wrong, strict=True)]


def outcomes(scenes: Sequence[Delivered]) -> Iterator[tuple[str, int, bool]]:
    """Fault, number of the scene, and whether it was caught; of scenes that are used as they were delivered."""
    evidence = [evidence_of(scene) for scene in scenes]
    declared = [scene.declared_dn for scene in scenes]
    used = settled_dn(declared, evidence)
    for number, scene in enumerate(scenes):
        if used[number] is None:
            continue
        for name, spoilt in faults(scene):
            seen, said = list(evidence), list(declared)
            seen[number], said[number] = evidence_of(spoilt), spoilt.declared_dn
            yield name, number, settled_dn(said, seen)[number] in (None, spoilt.right_dn)
