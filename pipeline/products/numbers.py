"""The numbers of a result as one document, so that two runs can be compared when their files are long gone.

Every row of the layers a reader may quote, without its outline, under its address; with the scenes they rest on. It is
made from the GeoPackage alone and is the same bytes for the same rows (:func:`pipeline.products._documents.json_text`).
Who reviewed, and in which words, is not in it: the ledger is the place of that, and the line is named.
"""

import datetime as dt
import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import ProductError
from pipeline.products._columns import Layer, Value
from pipeline.products.geopackage import read_rows
from pipeline.products.row_address import row_address
from pipeline.records import Row, RunRow

FORMAT = 1
LAYERS_KEPT = (
    *("zones", "scenes", "year_scenes", "measurements", "changes", "trends", "breaks", "claims"),
    *("stockpiles", "stockpile_changes", "footprints", "boundary_changes", "reviews"),
)
"""Layers whose rows are in the document, in the order they are read."""
_OF_PERSONS = {"reviews": frozenset({"analyst", "reason", "imagery", "source"})}

Rows: TypeAlias = dict[str, dict[str, Any]]
"""Address of a row to its columns."""


MOST_BYTES = 2**28
"""Of a document unpacked; a site of a thousand piles has a tenth of it."""


class _Checked(BaseModel):
    """What a document must be before anything is read off it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    facts: dict[str, str]
    rows: dict[str, dict[str, dict[str, str | int | float | bool | None]]]


def numbers_of(package: Path) -> dict[str, Any]:
    """Return the numbers of a finished GeoPackage as JSON.

    Parameters
    ----------
    package : Path
        ``<site>.gpkg``.

    Returns
    -------
    dict
        ``format``; ``facts``: the layer ``run``, key to value; ``rows``: layer to address to columns. NULL is None,
        numbers have all their digits, dates and times are ISO 8601, times in UTC to the millisecond.

    Raises
    ------
    ProductError
        The file is missing or broken, or lacks a layer or a column.
    """
    facts = {row.key: row.value for row in read_rows(package, "run") if isinstance(row, RunRow)}
    return {
        "format": FORMAT,
        "facts": facts,
        "rows": {layer: rows_of(layer, read_rows(package, layer)) for layer in LAYERS_KEPT},
    }


def read_numbers(path: Path) -> dict[str, Any]:
    """Read a document of :func:`numbers_of` that a run left behind (``runs/NNNN.numbers.json.gz``).

    Raises
    ------
    ProductError
        The file is missing, is cut off, or is no such document.
    """
    try:
        with gzip.open(path) as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        said = (isinstance(error, OSError) and error.strerror) or "it is cut off or no gzip file"
        raise ProductError(f"{path}: cannot be read ({said}); take the folder from a copy that is whole") from error
    if len(text) > MOST_BYTES:
        raise ProductError(f"{path}: has more than {MOST_BYTES:,} bytes unpacked; it is not of this program")
    try:
        return _Checked.model_validate_json(text).model_dump()
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        said = f"{key or 'content'}: {problem['msg']}"
        raise ProductError(f"{path}: {said}; the numbers of this run cannot be used") from error


def rows_of(layer: str, rows: Iterable[Row]) -> Rows:
    """Return rows of a layer as they stand in the document, by address."""
    left_out = _OF_PERSONS.get(layer, frozenset())
    columns = [column for column in Layer.of(layer).columns if column.name not in left_out]
    kept: Rows = {}
    for row in rows:
        at, further = row_address(layer, row), 1
        # An address writes white space as an underscore, so two names of a claims file may share one: both are kept.
        while (name := at if further == 1 else f"{at}~{further}") in kept:
            further += 1
        kept[name] = {column.name: _json(column.clean(getattr(row, column.field))) for column in columns}
    return kept


def _json(value: Value) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, dt.date) else value
