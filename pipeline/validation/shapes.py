"""Outlines of known area and how they grow and shrink. Pure, seeded."""

from typing import Literal, get_args

import numpy as np
import shapely
from shapely import Point, Polygon, affinity, box

Form = Literal["rectangular", "lobed", "ragged"]
FORMS: tuple[Form, ...] = get_args(Form)
Course = Literal["stable", "growing", "shrinking", "appearing", "vanishing"]
COURSES: tuple[Course, ...] = get_args(Course)

SIZE_CLASSES_HA = ((0.1, 0.2), (0.2, 0.5), (0.5, 1.0), (1.0, 4.0))
"""Classes by true area; both ends in hectares."""
LARGEST_M2 = 39_900.0


def size_class(area_m2: float) -> int | None:
    """Index of the class an area lies in; None outside all."""
    return next((i for i, (low, high) in enumerate(SIZE_CLASSES_HA) if low <= area_m2 / 1e4 < high), None)


def outline(form: Form, area_m2: float, aspect: float, angle_deg: float, rng: np.random.Generator) -> Polygon:
    """Draw a pile of exactly this area about the origin, metres."""
    if form == "ragged":
        shape = _ragged(aspect, rng)
    else:
        shape = box(-aspect, -1.0, aspect, 1.0)
        if form == "lobed":
            lobe = Point(rng.uniform(-0.6, 0.6) * aspect, 1.1).buffer(rng.uniform(0.5, 0.8), quad_segs=12)
            shape = shape.buffer(0.35, quad_segs=8).union(lobe)
    return scaled(affinity.rotate(shape, angle_deg, origin=(0, 0)), area_m2)


def scaled(shape: Polygon, area_m2: float) -> Polygon:
    """Return the shape about the origin with this area."""
    factor = (area_m2 / shape.area) ** 0.5
    return affinity.scale(shape, factor, factor, origin=(0, 0))


def _ragged(aspect: float, rng: np.random.Generator) -> Polygon:
    """Ellipse whose radius wanders by a tenth: five waves and a finer noise."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = np.ones_like(angle)
    for order in range(2, 7):
        radius += rng.normal(0, 0.16 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    radius += rng.normal(0, 0.03, angle.size)
    points = np.column_stack([radius * np.cos(angle) * aspect**0.5, radius * np.sin(angle) / aspect**0.5])
    return shapely.make_valid(Polygon(points)).buffer(0)


def areas(course: Course, first_m2: float, years: int, rng: np.random.Generator) -> list[float]:
    """Area in every year; 0 where there is no pile. Steps are 15 to 60 % of the year before."""
    if course == "stable":
        return [first_m2] * years
    steps = 1 + rng.uniform(0.15, 0.6, years - 1)
    grown = [first_m2 * float(np.prod(steps[:n])) for n in range(years)]
    grown = [area * min(1.0, LARGEST_M2 / grown[-1]) for area in grown]
    turn = int(rng.integers(1, years))
    if course == "growing":
        return grown
    if course == "shrinking":
        return grown[::-1]
    if course == "appearing":
        return [0.0] * turn + [first_m2] * (years - turn)
    return [first_m2] * turn + [0.0] * (years - turn)
