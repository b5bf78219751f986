"""Which of the things two runs differ in can have moved a number. Pure.

Nothing is computed again: what is said is which inputs of a number differ. A cause that cannot have touched a number is
left out only where the flow says so (docs/method.md); a setting, a scene or code that is not known to be without
effect on a number stays among its possible causes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.products.dependence import is_reviewed
from pipeline.products.difference.inputs import Difference
from pipeline.products.difference.moves import Compared, Move
from pipeline.products.difference.steps import Step
from pipeline.products.seen import REVIEWED

_JUDGED = {"changes", "trends", "breaks", "claims", "stockpile_changes"}
_REVIEW_COLUMNS = {"review", "tier"}
_WORDS_OF_TESTS = {"verdict", "reason"}

Rule: TypeAlias = Callable[[Move], bool]


def _stock(move: Move) -> bool:
    return "stockpile" in move.metric


def _ground(move: Move) -> bool:
    return not _stock(move)


def _nothing(_: Move) -> bool:
    return False


def _judged(move: Move) -> bool:
    return move.layer in _JUDGED


def _verdicts(move: Move) -> bool:
    return _judged(move) and (move.kind != "moved" or bool(move.columns & _WORDS_OF_TESTS))


def _trends(move: Move) -> bool:
    return move.layer == "trends"


def _volumes(move: Move) -> bool:
    return move.layer == "stockpiles" and bool(move.columns & {"volume_lo_m3", "volume_hi_m3"})


NARROW: dict[str, Rule] = {
    "stats.fdr_q": _verdicts,
    "stats.min_trend_years": _trends,
    "stats.max_invariant_drift": _trends,
    "max_season_shift_days": _judged,
    "volume": _volumes,
    "uncertainty.sigma_edge_m": _stock,
    "uncertainty.year_correlation": _stock,
    "stockpile": _stock,
    "stockpile.water_share_max": lambda _: True,
    "footprint": _ground,
    "boundary": _ground,
    "boundary.rings_m": lambda _: True,
    # Which scenes there are, and what their files and their provider say, is compared scene by scene.
    **dict.fromkeys(
        ("source.url", "source.preset", "source.collection", "source.sign_url", "source.token_url", "source.evidence"),
        _nothing,
    ),
    "source.max_cloud_percent": _nothing,
    "radiometry.max_drift": _nothing,
    "limits.max_aoi_km2": _nothing,
    "limits.max_scratch_gb": _nothing,
}
"""Settings that reach some numbers only, by key or section, the longest counts; every other one may reach all."""


@dataclass(frozen=True)
class Why:
    """What can have moved one number.

    Attributes
    ----------
    causes : tuple of int
        Places among the differences of the runs that reach it directly.
    less : tuple of int
        Those that reach it only through what all years share: registration, offsets, names and tiers of piles, ground
        that lasts, what unchanged ground shows by chance, the baseline year.
    steps : tuple of int
        Places among the results on the way that differ and that it follows from.
    by_tests : bool
        Whether it moved with other tests of its family, whose causes these are.
    """

    causes: tuple[int, ...]
    less: tuple[int, ...]
    steps: tuple[int, ...]
    by_tests: bool = False

    @property
    def certain(self) -> bool:
        """Whether there is but one thing it can be."""
        return len(self.causes) + len(self.less) == 1


def why(compared: Compared, roots: Sequence[Difference], ways: Sequence[Step]) -> tuple[Why, ...]:
    """Say of every number that moved what can have moved it; in the order of ``compared.moves``."""
    moved_zones = {step.name for step in ways if step.kind == "zone"}
    moved_base = any(step.kind == "fact" and step.name == "baseline_year" for step in ways)
    offsets = any(step.kind == "scene" and "offset" in (step.before or {}) for step in ways)
    around = _Around(frozenset(moved_zones), moved_base, offsets)
    found = [_reached(move, roots, ways, around) for move in compared.moves]
    families: dict[tuple[str, bool], tuple[set[int], set[int]]] = {}
    finer = ((move, _reached(move, roots, ways, around)) for move in compared.finer)
    for move, reached in (*zip(compared.moves, found, strict=True), *finer):
        if not move.by_tests_alone:
            causes, less = families.setdefault(_family(move), (set(), set()))
            causes.update(reached.causes)
            less.update(reached.less)
    scenes = {n for n, root in enumerate(roots) if root.kind == "scene"}
    return tuple(
        _with_family(reached, families.get(_family(move), (set(), set())), scenes) if move.by_tests_alone else reached
        for move, reached in zip(compared.moves, found, strict=True)
    )


def reaches_numbers(root: Difference) -> bool:
    """Whether any number can rest on a difference by itself; where another archive matters its scenes are compared."""
    return root.kind != "setting" or _rule(NARROW, root.name) is not _nothing


@dataclass(frozen=True)
class _Around:
    """What else moved: zones by id, the baseline year, the offset of some scene."""

    zones: frozenset[str]
    baseline: bool
    offsets: bool


def _family(move: Move) -> tuple[str, bool]:
    """Return which tests a number is judged with: those of its layer, with what reviewers changed apart."""
    return move.layer, str(move.row.get("metric", "")).startswith(REVIEWED)


def _with_family(alone: Why, family: tuple[set[int], set[int]], scenes: set[int]) -> Why:
    """Return what moved the other tests of a family; a scene of its own years would have moved the number itself."""
    causes = family[0] | (set(alone.causes) - scenes)
    return Why(tuple(sorted(causes)), tuple(sorted(family[1] - causes)), (), by_tests=True)


def _reached(move: Move, roots: Sequence[Difference], ways: Sequence[Step], around: _Around) -> Why:
    reach = [_reach(move, root, around) for root in roots]
    return Why(
        tuple(n for n, how in enumerate(reach) if how == _DIRECTLY),
        tuple(n for n, how in enumerate(reach) if how == _SHARED),
        tuple(n for n, step in enumerate(ways) if step.touches(move)),
    )


_DIRECTLY, _SHARED, _NOT = "directly", "through what the years share", "not"


def _reach(move: Move, root: Difference, around: _Around) -> str:
    """Say how a difference reaches a number."""
    if root.kind == "scene":
        if not root.used:
            # Offsets are settled by all scenes together, also by those that are then refused.
            return _SHARED if around.offsets else _NOT
        return _DIRECTLY if move.is_of(root.year or 0) else _SHARED
    if root.kind == "setting":
        return _DIRECTLY if _setting_reaches(move, root.name, around) else _NOT
    if root.kind == "claims":
        return _DIRECTLY if move.layer == "claims" else _NOT
    if root.kind == "reviews":
        return _DIRECTLY if _review_reaches(move) else _NOT
    return _DIRECTLY


def _setting_reaches(move: Move, key: str, around: _Around) -> bool:
    rule = _rule(NARROW, key)
    if rule is None or rule(move):
        return True
    # Zones rest on ground of the baseline year, and every comparison on that year.
    whole = rule in {_stock, _ground}
    return whole and (around.baseline or move.row.get("zone_id") in around.zones)


def _rule(rules: Mapping[str, Rule], key: str) -> Rule | None:
    parts = key.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((rules[name] for name in names if name in rules), None)


def _review_reaches(move: Move) -> bool:
    rows = [row for row in (move.before, move.after) if row is not None]
    if move.layer in {"stockpiles", "boundary_changes"}:
        return move.kind == "moved" and bool(move.columns & _REVIEW_COLUMNS)
    return any(map(is_reviewed, rows))
