"""Which numbers of a result rest on which of its files, from the manifest and the numbers of a run alone. Pure.

A number of a year rests on the scenes used in that year: those in the windows of its metric are what it is measured on,
the others say where a date is clear. What all years have in common (registration, offsets, names and tiers of piles,
ground that lasts, what unchanged ground shows by chance, the baseline year) ties every number to every scene a little;
that is said, and not listed.

So that damage can be told, nothing is read here: not the file that differs, nor one made from it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pipeline.products._documents import MANIFEST, RUN, RUNS, InputFile, Manifest
from pipeline.products.seen import REVIEWED
from pipeline.products.wording import listed

STOCK, GROUND, GAIN = "stockpile_area_m2", "footprint_area_m2", "boundary_gain_m2"
NUMBER_LAYERS = {
    "measurements": ("value", "values"),
    "changes": ("change", "changes"),
    "trends": ("trend", "trends"),
    "breaks": ("level before and after a resolution", "levels before and after a resolution"),
    "claims": ("claim", "claims"),
    "stockpiles": ("pile in a year", "piles in a year"),
    "stockpile_changes": ("change of a pile", "changes of piles"),
    "footprints": ("class of ground in a year", "classes of ground in a year"),
    "boundary_changes": ("gain or loss of ground", "gains and losses of ground"),
}
"""Layers of numbers a reader may quote, and what one row and several are called."""
_METRIC_OF = {
    "stockpiles": STOCK,
    "stockpile_changes": STOCK,
    "footprints": GROUND,
    "boundary_changes": GAIN,
}
_SITE_FILE, _CLAIMS_FILE, _REVIEWS_FILE = "inputs/site.geojson", "inputs/claims.yaml", "inputs/reviews.jsonl"
_MASKS = "masks"
_BESIDE = 3
"""A file, its folder (the record of a version) and the one above (what the provider said of it later)."""


@dataclass(frozen=True)
class Basis:
    """What a number is measured on: its metric, and its years; None: every year of the result."""

    metric: str
    years: frozenset[int] | None

    def has(self, year: int) -> bool:
        """Whether a year is among those the number is of."""
        return self.years is None or year in self.years


def basis_of(layer: str, row: Mapping[str, Any]) -> Basis:
    """Return what a row of one of NUMBER_LAYERS is measured on; ``row`` is as the numbers hold it."""
    metric = _METRIC_OF.get(layer) or str(row["metric"])
    if layer in {"breaks", "claims"}:
        return Basis(metric, None)
    if layer == "trends":
        return Basis(metric, frozenset(range(row["year_first"], row["year_last"] + 1)))
    names = ("year",) if "year" in row else ("year_from", "year_to")
    return Basis(metric, frozenset(row[name] for name in names))


def is_reviewed(row: Mapping[str, Any]) -> bool:
    """Whether a decision of a reviewer made a row what it is."""
    return str(row.get("metric", "")).startswith(REVIEWED) or row.get("review") is not None


def scene_year(scene: Mapping[str, Any]) -> int:
    """Year of a row of the layer ``scenes``."""
    return int(scene["datetime"][:4])


@dataclass(frozen=True)
class Dependence:
    """Files of one result and the numbers that rest on them.

    Attributes
    ----------
    site : str
        Its id, as the manifest has it.
    inputs : sequence of InputFile
        Of the manifest.
    outputs : frozenset of str
        Paths of its products, of the manifest.
    rows : Mapping
        Layer to address to columns, of :func:`pipeline.products.numbers.numbers_of`.
    """

    site: str
    inputs: Sequence[InputFile]
    outputs: frozenset[str]
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, manifest: Manifest, numbers: Mapping[str, Any]) -> "Dependence":
        """Take what is needed off the manifest of a run and its numbers."""
        outputs = frozenset(output.path for output in manifest.outputs)
        return cls(manifest.site, manifest.inputs, outputs, numbers["rows"])

    def numbers_on(self, path: str) -> tuple[str, ...]:
        """Return the addresses of the rows that rest on a file, in the order of the layers.

        Parameters
        ----------
        path : str
            As ``verify`` names it: relative to the site's folder, or that of all sites, or absolute.

        Returns
        -------
        tuple of str
            Empty for what is made from the GeoPackage, for records that vouch for numbers, and for files that are not
            of the result.
        """
        scenes = self._scenes_in(path)
        if scenes:
            years = self._years_on(scenes)
            return self._addresses(lambda layer, row: any(map(basis_of(layer, row).has, years)))
        name = self._inside(path)
        if name in {f"{self.site}.gpkg", _SITE_FILE}:
            return self._addresses(lambda _, __: True)
        if name == _CLAIMS_FILE:
            return self._addresses(lambda layer, _: layer == "claims")
        if name == _REVIEWS_FILE:
            return self._addresses(lambda _, row: is_reviewed(row))
        parts = PurePosixPath(name)
        if parts.parent.name == _MASKS:
            return self._addresses(lambda _, row: row.get("pile_id") == parts.stem)
        return ()

    def said(self, path: str) -> str:
        """Say in one line, without a full stop, what rests on a file."""
        rest, scenes = self.numbers_on(path), self._scenes_in(path)
        what = f"scene {listed(scenes)}" if scenes else "it"
        if not rest:
            return f"no number rests on {what}{self._why_none(self._inside(path), scenes)}"
        total = sum(len(self.rows.get(layer, {})) for layer in NUMBER_LAYERS)
        counted = Counter(address.split("/", 1)[0] for address in rest)
        kinds = listed([f"{n} {NUMBER_LAYERS[layer][n > 1]}" for layer, n in counted.items()])
        whole = "all" if len(rest) == total else f"{len(rest)} of"
        years = f" (those of {listed([str(y) for y in sorted(self._years_on(scenes))])})" if scenes else ""
        return f"{whole} {total} numbers rest on {what}{years}: {kinds}"

    def _why_none(self, name: str, scenes: Sequence[str]) -> str:
        if scenes:
            return ", which was not used"
        if name in {MANIFEST, RUN} or name.startswith(f"{RUNS}/"):
            return "; it vouches for those of its run"
        if name in {_CLAIMS_FILE, _REVIEWS_FILE} or name.startswith(f"{_MASKS}/"):
            return ""
        return "; what it shows is made from the GeoPackage" if name in self.outputs else "; it is not of the result"

    def _addresses(self, wanted: Callable[[str, Mapping[str, Any]], bool]) -> tuple[str, ...]:
        return tuple(
            address
            for layer in NUMBER_LAYERS
            for address, row in self.rows.get(layer, {}).items()
            if wanted(layer, row)
        )

    def _inside(self, path: str) -> str:
        """Return a path as it is below the site's folder."""
        return path.removeprefix(f"{self.site}/")

    def _scenes_in(self, path: str) -> tuple[str, ...]:
        """Scenes whose pixels a file holds, or whose record it is, by the longest end of the path that is known."""
        parts = PurePosixPath(path).parts
        for start in range(len(parts)):
            below = PurePosixPath(*parts[start:])
            for name in (below, *below.parents)[:_BESIDE]:
                if str(name) in self._scenes_of:
                    return self._scenes_of[str(name)]
        return ()

    @cached_property
    def _scenes_of(self) -> dict[str, tuple[str, ...]]:
        """Path of the pixels, and of a folder that holds nothing but copies of one item, to the scenes they are of."""
        found: dict[str, set[str]] = {}
        for file in self.inputs:
            found.setdefault(file.path, set()).add(file.scene_id)
            if file.evidence == "copy":
                found.setdefault(str(PurePosixPath(file.path).parent), set()).add(file.scene_id)
        return {path: tuple(sorted(scenes)) for path, scenes in found.items()}

    @cached_property
    def _scenes(self) -> dict[str, Mapping[str, Any]]:
        return {row["scene_id"]: row for row in self.rows.get("scenes", {}).values()}

    def _years_on(self, scenes: Sequence[str]) -> set[int]:
        """Years in which scenes were used."""
        known = [self._scenes[scene] for scene in scenes if scene in self._scenes]
        return {scene_year(row) for row in known if row["used"]}
