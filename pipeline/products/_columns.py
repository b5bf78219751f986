"""Records as columns: which type a field has in the file, and the rule of NULL in both directions."""

import datetime as dt
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from pipeline.records import LAYERS
from pipeline.told import Told

Value: TypeAlias = str | int | float | bool | dt.date | dt.datetime | None
"""What a column holds; None is NULL."""

GEOMETRY_FIELD = "geometry"


def _text(value: Any) -> Value:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("is not text without NUL characters")
    value.encode("utf-8")
    return value


def _integer(value: Any) -> Value:
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("does not fit 64 bits")
    return number


def _number(value: Any) -> Value:
    number = float(value)
    if math.isinf(number):
        raise ValueError("is not finite")
    return None if math.isnan(number) else number


def _flag(value: Any) -> Value:
    if not isinstance(value, bool | np.bool_):
        raise TypeError("is not true or false")
    return bool(value)


def _date(value: Any) -> Value:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise TypeError("is not a date")
    return value


def _time(value: Any) -> Value:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise TypeError("is not a time with a time zone")
    utc = value.astimezone(dt.UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class _Kind:
    """A column type: how a value is checked, the numpy type GDAL takes, what stands under a masked NULL."""

    clean: Callable[[Any], Value]
    dtype: str
    filler: Value
    parse: Callable[[Any], Value]


def _parse_time(stored: str) -> Value:
    return dt.datetime.fromisoformat(stored).astimezone(dt.UTC)


_KINDS: dict[type, _Kind] = {
    str: _Kind(_text, "object", None, _text),
    int: _Kind(_integer, "int64", 0, _integer),
    float: _Kind(_number, "float64", 0.0, _number),
    bool: _Kind(_flag, "bool", False, lambda stored: bool(operator.index(stored))),
    dt.date: _Kind(_date, "datetime64[D]", None, dt.date.fromisoformat),
    dt.datetime: _Kind(_time, "datetime64[ms]", None, _parse_time),
}


@dataclass(frozen=True)
class Column:
    """One column: the record's field, its Python type, whether it may be NULL, and what a reader is told of it."""

    field: str
    type: type
    nullable: bool
    told: Told

    @property
    def name(self) -> str:
        """Name in the file: ``class_`` is written ``class``."""
        return self.field.removesuffix("_")

    @property
    def alias(self) -> str:
        """Its name in words, without the unit."""
        return self.told.alias

    @property
    def unit(self) -> str:
        """``m``, ``m2``, ``m3``, ``1``; empty where there is none or another column holds it."""
        return self.told.unit

    @property
    def meaning(self) -> str:
        """What a value says, in one line."""
        return self.told.meaning

    @property
    def technical(self) -> bool:
        """Whether a form need not show it."""
        return self.told.technical

    def clean(self, value: Any) -> Value:
        """Return what is stored for a record's value; where NULL is allowed, NaN and '' are NULL.

        Raises
        ------
        TypeError, ValueError
            The value does not fit the column; the message continues the value's name.
        """
        stored = None if value is None else _KINDS[self.type].clean(value)
        if stored == "" and self.nullable:
            stored = None
        return self._required(stored)

    def parse(self, stored: Any) -> Value:
        """Return the record's value of what SQLite holds; the inverse of :meth:`clean`.

        Raises
        ------
        TypeError, ValueError
            What is stored is not of the column's type.
        """
        return self._required(None if stored is None else _KINDS[self.type].parse(stored))

    def array(self, values: Sequence[Value]) -> NDArray[np.generic]:
        """Return cleaned values as the array GDAL takes; NULL is None, NaT, or a filler to be masked."""
        kind = _KINDS[self.type]
        filled: list[Any] = [kind.filler if value is None else value for value in values]
        if self.type is dt.datetime:
            # numpy has no time zones; these are all UTC.
            filled = [value if value is None else value.replace(tzinfo=None) for value in filled]
        return np.array(filled, dtype=kind.dtype)

    def _required(self, value: Value) -> Value:
        if value is None and not self.nullable:
            raise ValueError("is missing")
        return value


SITE = Column("site_id", str, nullable=False, told=Told("Site", meaning="Id of the site file"))
SIMULATED = Column(
    "simulated", bool, nullable=False, told=Told("Simulated", meaning="Made from simulated scenes; no observation")
)
"""Columns of the file of all sites."""


@dataclass(frozen=True)
class Layer:
    """One layer: its record, its columns without geometry, and whether it has a geometry and may lack it."""

    name: str
    record: type[Any]
    columns: tuple[Column, ...]
    spatial: bool
    geometry_nullable: bool

    @classmethod
    def of(cls, name: str) -> "Layer":
        """Read a layer of LAYERS off its record's annotations."""
        return cls.of_record(name, LAYERS[name])

    @classmethod
    def of_record(cls, name: str, record: type[Any]) -> "Layer":
        """Read a layer off the annotations of any record."""
        hints = get_type_hints(record, include_extras=True)
        return cls(
            name=name,
            record=record,
            columns=tuple(_column(f.name, hints[f.name]) for f in fields(record) if f.name != GEOMETRY_FIELD),
            spatial=GEOMETRY_FIELD in hints,
            geometry_nullable=NoneType in get_args(hints.get(GEOMETRY_FIELD)),
        )

    def gathered(self) -> "Layer":
        """Return the layer as it is in the file of all sites: every row names its site and whether it is simulated."""
        named = any(column.name == SITE.name for column in self.columns)
        return replace(self, columns=(*self.columns, *([] if named else [SITE]), SIMULATED))

    @property
    def summary(self) -> str:
        """What a row is: the first line of the record's docstring."""
        return (self.record.__doc__ or "").strip().split("\n", maxsplit=1)[0].replace("``", "")


def _column(field: str, hint: Any) -> Column:
    """Return the column of an annotation ``Annotated[T, Told(...)]`` or ``Annotated[T | None, Told(...)]``."""
    told = [part for part in get_args(hint)[1:] if isinstance(part, Told)] if get_origin(hint) is Annotated else []
    if len(told) != 1:
        raise TypeError(f"field {field} is annotated {hint!r}; one Told is due")
    kind = get_args(hint)[0]
    types = [part for part in get_args(kind) if part is not NoneType] or [kind]
    return Column(field, types[0], NoneType in get_args(kind), told[0])
