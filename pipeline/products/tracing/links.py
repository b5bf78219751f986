"""The chain of one number as records: sentence, rows, outlines, masks, scenes, files, and what vouches for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["agrees", "differs", "missing"]
"""Of a file: its bytes have the hash recorded, have another, or are not here."""


@dataclass(frozen=True)
class RowLink:
    """A row of a layer: its columns, and the addresses of the rows it rests on at once."""

    layer: str
    columns: Mapping[str, Any]
    rests_on: tuple[str, ...]


@dataclass(frozen=True)
class SentenceLink:
    """A sentence of the report: its address there, what it says, and the addresses of the rows it rests on."""

    id: str
    title: str
    text: str
    verdict: str
    figures: tuple[tuple[str, str], ...]
    rests_on: tuple[str, ...]


@dataclass(frozen=True)
class PlacedFile:
    """A file of the result or of its evidence.

    Attributes
    ----------
    root : str
        Key of the chain's ``roots``, the folder that ``path`` is below.
    path : str
    sha256 : str
        As the manifest has it.
    state : str
        Whether the file has that hash, found while tracing.
    """

    root: str
    path: str
    sha256: str
    state: State


@dataclass(frozen=True)
class MaskLink(PlacedFile):
    """Bands of a pile's masks, from 1: what a pixel was in the year, and whether a date could be used there."""

    object_band: int
    usable_band: int


@dataclass(frozen=True)
class OutlineLink:
    """A pile on a date, and what its outline is drawn from; ``masks`` is None where they are not here."""

    address: str
    pile_id: str
    year: int
    scene_id: str
    outline_level: float
    masks: MaskLink | None


@dataclass(frozen=True)
class FileLink(PlacedFile):
    """Pixels of one band of one item, and how they came.

    Attributes
    ----------
    band, item_id : str
    evidence : str
        ``copy`` or ``reference``.
    nodata_dn : float or None
        DN that is no data: as the catalogue says, else the file, else 0; None where the file cannot be read.
    resampling : str or None
        How it is brought onto the grid: ``cubic``, ``bilinear``; None where the file cannot be read.
    href : str
        As the provider names the file, without read tokens.
    size_bytes : int
    record : mapping or None
        What was noted when it was fetched: address, request with byte ranges, response headers, time, licence; and as
        ``record_state`` whether the run vouches for that note. None for a file that lay in a local archive: no request
        was made; and where the note is not here.
    """

    band: str
    item_id: str
    evidence: str
    nodata_dn: float | None
    resampling: str | None
    href: str
    size_bytes: int
    record: Mapping[str, Any] | None


@dataclass(frozen=True)
class SceneLink:
    """A scene as it was used: its address, numbers a recomputation needs, 0 where no shift was taken off, its files."""

    address: str
    scale: float | None
    offset_dn: float | None
    shift_m: tuple[float, float]
    files: tuple[FileLink, ...]


@dataclass(frozen=True)
class MadeLink:
    """An area made of others: the median of dates, or the sum of piles."""

    address: str
    by: Literal["median", "sum"]
    of: tuple[str, ...]


@dataclass(frozen=True)
class Vouched:
    """GeoPackage, copies of site file, claims and reviews, what vouches for them, and what that says of the program."""

    package: PlacedFile
    inputs: tuple[PlacedFile, ...]
    manifest: PlacedFile
    run: PlacedFile
    key: str
    version: str
    code_sha256: str
    started: str
    finished: str
    previous_run_sha256: str | None


@dataclass(frozen=True)
class Chain:
    """One number or sentence and all that it rests on; what is written with ``--json``.

    Attributes
    ----------
    asked : str
        Address that was asked for.
    site : str
    simulated : bool
    epsg : int
        Of the site's grid.
    sentence : SentenceLink or None
        When a sentence was asked for.
    start : tuple of str
        Addresses of the rows the chain begins with.
    rows : mapping of str to RowLink
        Address to row, in the order they are met.
    outlines : tuple of OutlineLink
    made : tuple of MadeLink
        What is made of outlines, and of what is made of them: the lowest first.
    stated : mapping of str to mapping
        Address of an outline, or of what is made of it, to what is stated of it: ``area_m2``; of an outline besides
        ``east_m`` and ``north_m`` of its centroid, ``pile_level`` and ``background_level``.
    scenes : mapping of str to SceneLink
        By scene id.
    roots : mapping of str to str
        Folders the files lie in.
    vouched : Vouched
    needs : tuple of str
        What a recomputation would need beyond what is listed.
    problems : tuple of str
        Links that are missing or do not agree.
    """

    format: int
    asked: str
    site: str
    simulated: bool
    epsg: int
    sentence: SentenceLink | None
    start: tuple[str, ...]
    rows: Mapping[str, RowLink]
    outlines: tuple[OutlineLink, ...]
    made: tuple[MadeLink, ...]
    stated: Mapping[str, Mapping[str, float]]
    scenes: Mapping[str, SceneLink]
    roots: Mapping[str, str]
    vouched: Vouched
    needs: tuple[str, ...]
    problems: tuple[str, ...]
