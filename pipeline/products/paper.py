"""Which rows of the report's tables stand on paper: all of a short table, of a long one those that matter. Pure.

A page that is scrolled and searched may hold every row; on paper they would hide what the reader looks for. What
is left out is counted, and the table says where all of it stands.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from pipeline.products.listings import Cell, Listing
from pipeline.records import LAYERS

LONG = 30
"""A table of no more rows is printed whole."""
MOST = 60
"""Rows of a long table that are printed at most."""
_CALLED = ("increase", "decrease")
_LAYERS = {"reviewed": "measurements"}
"""Layer of rows whose address does not begin with it."""
_SAID_ONCE = ("Reason", "Status", "Verdict")
"""Columns that are left out where they would say the same in every one of several rows."""
_FEW = 3
"""So many rows may say the same, or that data are insufficient, one by one."""


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
        Without the rows that have insufficient data, where these are several. Of what is left all rows where they
        are few, else those with a verdict of change and those the summary speaks of, the largest of them where
        they are too many; the largest rows where there are none of either. What is left out is counted in the
        note; what a column would say in every row stands there once.
    """
    first = listing.row_ids[0][0].split("/")[0] if listing.row_ids and listing.row_ids[0] else ""
    layer = _LAYERS.get(first, first)
    # A sentence must lead to its scenes on paper too: their lists, which are no layer, are never shortened.
    if layer not in LAYERS:
        return listing
    said = Spoken(frozenset(spoken))
    named = {n for n, ids in enumerate(listing.row_ids) if any(map(said.names, ids))}
    lacking = {n for n, row in enumerate(listing.rows) if _has(row, "insufficient_data")} - named
    lacking = lacking if len(lacking) > _FEW else set()
    kept, rule = _chosen(listing, named, lacking)
    where = f"All rows: tables/{layer}.csv, and layer {layer} of the GeoPackage."
    gone = f"Left out: {len(lacking)} rows with insufficient data." if lacking else ""
    short = f"Shortened for paper: {len(kept)} of {len(listing.rows) - len(lacking)} rows, {rule}." if rule else ""
    told = " ".join(text for text in (gone, short, where) if text) if gone or short else ""
    return _said_once(
        replace(
            listing,
            note=f"{listing.note} {told}".strip(),
            rows=tuple(listing.rows[n] for n in kept),
            row_ids=tuple(listing.row_ids[n] for n in kept),
            empty=f"No row has enough data. {told}" if told else listing.empty,
        )
    )


def _has(row: tuple[Cell, ...], *verdicts: str) -> bool:
    """Whether a row has one of some verdicts."""
    return any(cell.verdict in verdicts for cell in row)


def _chosen(listing: Listing, named: set[int], lacking: set[int]) -> tuple[list[int], str]:
    """Return the places of the rows that are printed, in order, and by what rule; no rule where none is left out."""
    there = [n for n in range(len(listing.rows)) if n not in lacking]
    if len(there) <= LONG:
        return there, ""
    told = {n for n in there if n in named or _has(listing.rows[n], *_CALLED)}
    by_size = sorted(there, key=lambda n: (n not in named, n not in told, -_size(listing.rows[n]), n))
    kept = sorted(by_size[: min(len(told) or LONG, MOST)])
    if not told:
        return kept, "the largest"
    rule = "those with a verdict of change and those the summary speaks of"
    return kept, f"{rule}, of these the largest" if len(told) > MOST else rule


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
