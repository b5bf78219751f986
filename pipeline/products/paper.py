"""Which rows of the report's tables stand on paper: all of a short table, of a long one those that matter. Pure.

A page that is scrolled and searched may hold every row; on paper they would hide what the reader looks for. What
is left out is counted, and the table says where all of it stands.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from pipeline.products.listings import Cell, Listing

LONG = 30
"""A table of no more rows is printed whole."""
MOST = 60
"""Rows of a long table that are printed at most."""
_CALLED = ("increase", "decrease")
_LAYERS = {"scene": "scenes"}
_SAID_ONCE = ("Reason", "Status", "Verdict")
"""Columns that are left out where they would say the same in every one of several rows."""
_FEW = 3
_WHOLE = ("scene",)
"""Tables that are printed whole however long: a sentence must lead to its scenes on paper too."""


@dataclass(frozen=True)
class Spoken:
    """What the summary speaks of.

    Attributes
    ----------
    rows : frozenset of str
        Addresses of the rows its sentences rest on: ``changes/zone/metric/2018-2023``.
    """

    rows: frozenset[str]

    @property
    def zones(self) -> frozenset[str]:
        """Zones of these rows."""
        return frozenset(row.split("/")[1] for row in self.rows if row.count("/"))

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Zones of these rows with their years."""
        return frozenset((row.split("/")[1], row.split("/")[-1]) for row in self.rows if row.count("/"))

    def names(self, address: str) -> bool:
        """Whether a row is one of those, holds a value of one of their zones, or ground of their zone and years."""
        layer, *rest = address.split("/")
        return (
            address in self.rows
            or (layer == "measurements" and rest[0] in self.zones)
            or (layer == "boundary_changes" and (rest[0], rest[-1]) in self.pairs)
        )


def on_paper(listing: Listing, spoken: Collection[str]) -> Listing:
    """Return a table as it is printed.

    Parameters
    ----------
    listing : Listing
        With the addresses of its rows.
    spoken : collection of str
        Addresses of the rows that the sentences of the summary rest on; these are always printed.

    Returns
    -------
    Listing
        All rows where it is short. Else the rows with a verdict of change and those the summary speaks of, the
        largest first where they are too many; where there are none of either, the largest. The note says so, and
        once what a column would say in every row.
    """
    return _said_once(_shortened(listing, frozenset(spoken)))


def _shortened(listing: Listing, spoken: frozenset[str]) -> Listing:
    """Leave out what matters least of a long table, and say so."""
    layer = listing.row_ids[0][0].split("/")[0] if listing.row_ids and listing.row_ids[0] else ""
    if len(listing.rows) <= LONG or not layer or layer in _WHOLE:
        return listing
    said = Spoken(spoken)
    named = [any(map(said.names, ids)) for ids in listing.row_ids]
    told = [name or any(cell.verdict in _CALLED for cell in row) for name, row in zip(named, listing.rows, strict=True)]
    # Places of the rows, those that must be printed first, then by size.
    order = sorted(range(len(told)), key=lambda n: (not named[n], not told[n], -_size(listing.rows[n]), n))
    kept = sorted(order[: min(sum(told) or LONG, MOST)])
    note = f"{listing.note} {_rule(listing, layer, len(kept), any(told), sum(told) > MOST)}"
    rows, ids = tuple(listing.rows[n] for n in kept), tuple(listing.row_ids[n] for n in kept)
    return replace(listing, note=note.strip(), rows=rows, row_ids=ids)


def _said_once(listing: Listing) -> Listing:
    """Move what a column says alike in every row into the note."""
    alike = {
        place: texts.pop()
        for place, column in enumerate(listing.columns)
        if column.title in _SAID_ONCE and len(texts := {row[place].text for row in listing.rows}) == 1
    }
    if not alike or len(listing.rows) <= _FEW:
        return listing
    said = " ".join(f"{listing.columns[place].title} in every row: {text}." for place, text in alike.items())
    left = [place for place in range(len(listing.columns)) if place not in alike]
    return replace(
        listing,
        note=f"{listing.note} {said}".strip(),
        columns=tuple(listing.columns[place] for place in left),
        rows=tuple(tuple(row[place] for place in left) for row in listing.rows),
    )


def _size(row: tuple[Cell, ...]) -> float:
    """Return the size of the first number of a row; 0 where it has none."""
    return next((abs(cell.key) for cell in row if cell.key is not None), 0.0)


def _rule(listing: Listing, layer: str, shown: int, told: bool, cut: bool) -> str:
    """Say that a table is shortened, by what rule, and where all of it stands."""
    chosen = "those with a verdict of change and those the summary speaks of" if told else "the largest"
    largest = ", of these the largest" if cut and told else ""
    name = _LAYERS.get(layer, layer)
    return (
        f"Shortened for paper: {shown} of {len(listing.rows)} rows, {chosen}{largest}. All rows: tables/{name}.csv, "
        f"and layer {name} of the GeoPackage."
    )
