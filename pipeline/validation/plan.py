"""Which worlds a set has. Tuning and reporting share no seed and no real place, so no pile is in both."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pipeline.validation.archive import World
from pipeline.validation.draw import Order

SeedSet = Literal["tuning", "reporting"]
_ROOT: Mapping[str, int] = {"tuning": 1, "reporting": 3}
"""Seeds 2 were reported on before the limits of brightness and dust were last changed, and are not used again."""

_YEARS = 4
_SIMULATED = Order(piles=110, confusers=2, years=_YEARS)
_STILL = replace(_SIMULATED, still=True)
_LIGNITE = replace(_SIMULATED, lignite=True)
_ON_WATERSIDE = Order(piles=90, confusers=1, years=_YEARS)
_ON_FIELDS = Order(piles=10, confusers=0, years=_YEARS)
_KINDS: Mapping[SeedSet, tuple[tuple[str, Order, range], ...]] = {
    "tuning": (
        ("simulated", _SIMULATED, range(2)),
        ("simulated", _LIGNITE, range(1)),
        ("belgium", _ON_FIELDS, range(4)),
    ),
    "reporting": (
        ("simulated", _SIMULATED, range(5)),
        ("simulated", _LIGNITE, range(2, 4)),
        ("simulated", _STILL, range(3)),
        ("boadella", _ON_WATERSIDE, range(4)),
        ("boadella", replace(_ON_WATERSIDE, still=True), range(1)),
    ),
}
"""Ground, what stands on it, and the numbers of its worlds. Lignite 0 and 1 were seen before its limit was last set."""
SIZE_PX = 480


def worlds_of(seed_set: SeedSet, *, real: bool, most: int | None = None) -> list[World]:
    """List the worlds of a set, those of every kind in turn.

    Parameters
    ----------
    seed_set : {"tuning", "reporting"}
    real : bool
        Whether the real scenes are there.
    most : int, optional
        Largest number of worlds of a kind.
    """
    found = []
    for kind, (ground, order, numbers) in enumerate(_KINDS[seed_set]):
        if ground != "simulated" and not real:
            continue
        found += [World(ground, (_ROOT[seed_set], kind, number), order, SIZE_PX) for number in numbers[:most]]
    return found
