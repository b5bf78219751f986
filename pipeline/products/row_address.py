"""What tells a row of the layers from all others, as one address: ``changes/site/stockpile_count/2018-2023``. Pure.

Reports, numbers kept of a run, and what is said of files and rows all name a row by it (docs/contract.md, Addresses).
"""

from pipeline.records import Row

_SPAN = ("year_from", "year_to")
_KEYS: dict[str, tuple[str | tuple[str, str], ...]] = {
    "zones": ("zone_id",),
    "scenes": ("scene_id",),
    "stockpiles": ("pile_id", "year"),
    "stockpile_observations": ("pile_id", "scene_id"),
    "stockpile_changes": ("pile_id", _SPAN),
    "footprints": ("zone_id", "class_", "year"),
    "boundary_changes": ("zone_id", "change", _SPAN),
    "measurements": ("zone_id", "metric", "year"),
    "changes": ("zone_id", "metric", _SPAN),
    "year_scenes": ("metric", "year", "scene_id"),
    "trends": ("zone_id", "metric"),
    "breaks": ("zone_id", "metric", "resolution"),
    "claims": ("claim_id",),
    "reviews": ("line",),
    "analyst_outlines": ("object", "object_id", "analyst", "year"),
    "agreement": ("analyst_a", "analyst_b", "object"),
}
"""Layer to the columns whose values make an address, in order; two years are joined by a dash."""
_FIRST = {"scenes": "scene"}
"""What the address begins with, where it is not the layer: ``scenes/2018`` is the list of a year."""


def address(*parts: object) -> str:
    """Join what tells a row from all others into its address: ``changes/site/count/2018-2023``.

    White space may not stand in an address, and is written as an underscore.
    """
    return "/".join("_".join(str(part).split()) for part in parts)


def pair(year_from: int, year_to: int) -> str:
    """``2018-2023``, as a part of an address."""
    return f"{year_from}-{year_to}"


def row_address(layer: str, row: Row) -> str:
    """Return the address of a row of a layer; :class:`KeyError` for a layer whose rows have none."""
    keys = _KEYS[layer]
    parts = (pair(*(getattr(row, k) for k in key)) if isinstance(key, tuple) else getattr(row, key) for key in keys)
    return address(_FIRST.get(layer, layer), *parts)


def has_address(layer: str) -> bool:
    """Whether the rows of a layer have addresses."""
    return layer in _KEYS
