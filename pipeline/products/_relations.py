"""How rows lead to rows in QGIS: from a pile to its years and dates, from any number to its scenes.

QGIS joins two layers where columns are equal. Layers of outlines have no column ``metric``; in the project they get one
by expression, so that they too lead to ``year_scenes``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

METRIC_OF = {
    "stockpiles": "stockpile_area_m2",
    "stockpile_changes": "stockpile_area_m2",
    "footprints": "footprint_area_m2",
    "boundary_changes": "boundary_gain_m2",
}
"""The metric whose scenes an outline of a layer rests on."""


@dataclass(frozen=True)
class Relation:
    """Rows of ``child`` whose columns equal those of a row of ``parent`` are listed in a tab of its form.

    ``columns`` are pairs of a column of the parent and one of the child.
    """

    parent: str
    child: str
    columns: tuple[tuple[str, str], ...]
    tab: str
    name: str

    @property
    def id(self) -> str:
        """Name in the project, the same in every run."""
        return "_".join([self.parent, self.child, *(column for column, _ in self.columns)])


def _scenes(parent: str, year: str, name: str) -> Relation:
    return Relation(parent, "year_scenes", (("metric", "metric"), (year, "year")), "Scenes", name)


def _of_pile(parent: str, year: str, name: str) -> Relation:
    return Relation(
        parent, "stockpile_observations", (("pile_id", "pile_id"), (year, "year")), "Outlines by date", name
    )


_PAIRS = ("changes", "stockpile_changes", "boundary_changes")
_YEARS = ("measurements", "stockpiles", "footprints")
_SERIES = ("trends", "breaks", "claims")
_PILE = (("pile_id", "pile_id"),)
_ZONE = (("zone_id", "zone_id"),)
_SCENE = (("scene_id", "scene_id"),)
_METRIC = (("metric", "metric"),)
_OBJECT = (("pile_id", "object_id"),)

RELATIONS: tuple[Relation, ...] = (
    *(_scenes(layer, "year", "Scenes of the year") for layer in _YEARS),
    *(_scenes(layer, "year_from", "Scenes of the earlier year") for layer in _PAIRS),
    *(_scenes(layer, "year_to", "Scenes of the later year") for layer in _PAIRS),
    *(Relation(layer, "year_scenes", _METRIC, "Scenes", "Scenes of all years") for layer in _SERIES),
    _of_pile("stockpiles", "year", "Outlines of the year"),
    _of_pile("stockpile_changes", "year_from", "Outlines of the earlier year"),
    _of_pile("stockpile_changes", "year_to", "Outlines of the later year"),
    Relation("stockpiles", "stockpiles", _PILE, "Years", "The pile through the years"),
    Relation("stockpiles", "stockpile_changes", _PILE, "Changes", "Changes of the pile"),
    Relation("stockpiles", "reviews", _OBJECT, "Review", "Decisions on the pile"),
    Relation("zones", "measurements", _ZONE, "Years", "Numbers of the zone"),
    Relation("zones", "changes", _ZONE, "Changes", "Changes of the zone"),
    Relation("claims", "changes", _METRIC, "Changes", "Changes of the metric"),
    Relation("scenes", "stockpile_observations", _SCENE, "Piles", "Piles outlined on the scene"),
    Relation("scenes", "year_scenes", _SCENE, "Used for", "Years and metrics that rest on the scene"),
)

REVIEW = "review"
"""The layer reviewers work in, in a file of its own beside the GeoPackage."""
WITH_REVIEW = (*RELATIONS, Relation("stockpiles", REVIEW, _OBJECT, "Review", "The pile in the review file"))


def tabs_of(layer: str, relations: Sequence[Relation]) -> dict[str, list[Relation]]:
    """Return the tabs of a layer's form with the relations each lists, in order."""
    tabs: dict[str, list[Relation]] = {}
    for relation in relations:
        if relation.parent == layer:
            tabs.setdefault(relation.tab, []).append(relation)
    return tabs


def references_of(layer: str, relations: Sequence[Relation]) -> Mapping[str, str]:
    """Return columns of a layer that name one row of another, with the id of the relation: a button opens its form."""
    return {r.columns[0][1]: r.id for r in relations if r.child == layer and r.columns == _SCENE}
