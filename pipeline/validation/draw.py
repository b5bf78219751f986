"""What stands in a world: piles and confusers, each in its own place, through the years. Pure, seeded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon, affinity

from pipeline.validation.materials import (
    COAL_BRIGHTNESS,
    CONFUSERS,
    HARD_RANKS,
    LIGNITE_RANKS,
    YARDS,
    coal_spectrum,
)
from pipeline.validation.shapes import COURSES, FORMS, SIZE_CLASSES_HA, Course, Form, areas, outline, scaled

Bool = NDArray[np.bool_]

PILE = "pile"
_SHARE = 0.25
"""Of piles that have a dust halo, and of those shaded by their own slopes."""
_ON_YARD = 0.6
_MARGIN_M = 110.0
"""Clear ground round everything: two rings of background and the outline's reach (models/_delineate.py)."""


@dataclass(frozen=True)
class Thing:
    """A pile or a confuser.

    Attributes
    ----------
    kind : str
        ``pile`` or a name of CONFUSERS.
    x_m, y_m : float
        Its origin, metres east of the world's left and south of its top edge.
    outlines : tuple of Polygon or None
        One a year, metres about the origin, y to the south; None while it is not there.
    spectrum : tuple of float
        Its own, in the order of BANDS; for shadow the share of light left.
    texture : float
        Standard deviation of its relative brightness.
    halo_m : float
        Width of its dust halo, 0 for none.
    shaded : bool
        Whether its slopes differ in light.
    yard : str or None
        Ground it lies on, 40 m beyond its largest outline; None: whatever is there.
    form, course, rank : what it was drawn from; of piles only.
    """

    kind: str
    x_m: float
    y_m: float
    outlines: tuple[Polygon | None, ...]
    spectrum: tuple[float, ...]
    texture: float
    halo_m: float = 0.0
    shaded: bool = False
    yard: str | None = None
    form: Form | None = None
    course: Course | None = None
    rank: float | None = None

    @property
    def is_pile(self) -> bool:
        """Whether it is an implanted pile."""
        return self.kind == PILE

    @property
    def extent(self) -> Polygon:
        """Hull of all its outlines, metres about the origin."""
        return shapely.union_all([o for o in self.outlines if o is not None]).convex_hull

    def placed(self, year: int) -> Polygon | None:
        """Outline of year number ``year`` in metres from the world's top left corner, y to the south."""
        shape = self.outlines[year]
        return None if shape is None else affinity.translate(shape, self.x_m, self.y_m)


@dataclass(frozen=True)
class Order:
    """How many of what a world holds.

    Attributes
    ----------
    piles : int
        Shared equally among the classes of size.
    confusers : int
        Of each kind.
    lignite : bool
        Whether its coal is lignite.
    still : bool
        Whether nothing changes through the years.
    """

    piles: int
    confusers: int
    years: int
    lignite: bool = False
    still: bool = False


def draw_things(rng: np.random.Generator, order: Order, width_m: float, height_m: float, free: Bool) -> list[Thing]:
    """Draw and place the things of a world; what finds no room is left out.

    Parameters
    ----------
    rng : np.random.Generator
    order : Order
    width_m, height_m : float
    free : Bool
        Shape (rows, columns) over the world's whole extent: True where things may stand.
    """
    wanted = sorted(_wanted(rng, order), key=lambda thing: -thing.extent.area)
    # One cell per 10 m: how far the next obstacle is.
    cells = np.pad(ndimage.zoom(free, (height_m / 10 / free.shape[0], width_m / 10 / free.shape[1]), order=0), 1)
    placed = []
    for thing in wanted:
        reach_m = float(shapely.minimum_bounding_radius(thing.extent)) + _MARGIN_M / 2
        centre = shapely.minimum_bounding_circle(thing.extent).centroid
        room = ndimage.distance_transform_edt(cells)[1:-1, 1:-1] * 10
        rows, columns = np.nonzero(room > reach_m)
        if rows.size == 0:
            continue
        pick = int(rng.integers(rows.size))
        x, y = columns[pick] * 10 + rng.uniform(0, 10), rows[pick] * 10 + rng.uniform(0, 10)
        down, right = np.ogrid[: cells.shape[0] - 2, : cells.shape[1] - 2]
        taken = (right * 10 + 5 - x) ** 2 + (down * 10 + 5 - y) ** 2 < reach_m**2
        cells[1:-1, 1:-1] &= ~taken
        placed.append(replace(thing, x_m=float(x - centre.x), y_m=float(y - centre.y)))
    return placed


def _wanted(rng: np.random.Generator, order: Order) -> Iterator[Thing]:
    for number in range(order.piles):
        low, high = SIZE_CLASSES_HA[number % len(SIZE_CLASSES_HA)]
        yield _pile(rng, float(np.exp(rng.uniform(np.log(low), np.log(high)))) * 1e4, order)
    for name in CONFUSERS:
        for _ in range(order.confusers):
            yield _confuser(rng, name, order.years)


def _pile(rng: np.random.Generator, area_m2: float, order: Order) -> Thing:
    form, course = FORMS[int(rng.integers(len(FORMS)))], COURSES[int(rng.integers(len(COURSES)))]
    course = "stable" if order.still else course
    shape = outline(form, 1e4, float(rng.uniform(1.0, 3.0)), float(rng.uniform(0, 180)), rng)
    sizes = areas(course, area_m2, order.years, rng)
    rank = float(rng.uniform(*(LIGNITE_RANKS if order.lignite else HARD_RANKS)))
    spectrum = coal_spectrum(rank, float(rng.uniform(*COAL_BRIGHTNESS)))
    return Thing(
        kind=PILE,
        x_m=0.0,
        y_m=0.0,
        outlines=tuple(scaled(shape, size) if size else None for size in sizes),
        spectrum=tuple(spectrum * (1 + rng.normal(0, 0.03, spectrum.size))),
        texture=float(rng.uniform(0.04, 0.10)),
        halo_m=float(rng.uniform(15, 40)) if rng.random() < _SHARE else 0.0,
        shaded=bool(rng.random() < _SHARE),
        yard=YARDS[int(rng.integers(len(YARDS)))] if rng.random() < _ON_YARD else None,
        form=form,
        course=course,
        rank=rank,
    )


def _confuser(rng: np.random.Generator, name: str, years: int) -> Thing:
    what = CONFUSERS[name]
    area_m2 = float(np.exp(rng.uniform(*np.log(what.size_m2))))
    form: Form = "rectangular" if "roof" in name or "yard" in name else FORMS[int(rng.integers(len(FORMS)))]
    shape = outline(form, area_m2, float(rng.uniform(1.0, 3.5)), float(rng.uniform(0, 180)), rng)
    level = 1.0 if what.behaviour == "shaded" else float(rng.uniform(0.8, 1.25))
    spectrum = np.asarray(what.spectrum) * level * (1 + rng.normal(0, 0.04, len(what.spectrum)))
    return Thing(name, 0.0, 0.0, (shape,) * years, tuple(spectrum), texture=0.06)


def counts(things: list[Thing]) -> Mapping[str, int]:
    """Count the things of each kind, by name."""
    kinds = [thing.kind for thing in things]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
