"""The comparison of two runs, line by line: verdicts first, then numbers, each with what can have moved it. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.products.dependence import NUMBER_LAYERS
from pipeline.products.difference.inputs import Difference, KeptRun
from pipeline.products.difference.moves import Compared, Move
from pipeline.products.difference.shown import Said, difference_of, number_of
from pipeline.products.difference.steps import Step
from pipeline.products.difference.why import Why, reaches_numbers
from pipeline.products.difference.words import ARROW, Names, difference_name, number_name, step_name
from pipeline.products.wording import listed

_SHARED = "through what all years share"
_MOST_STEPS = 12
"""Results on the way that are named unless all are asked for: a new reference scene moves the shift of every other."""
_KINDS = {"moved": "moved", "new": "new", "gone": "no longer there"}
_NO_ROW = "no such number"
_IN_SHORT = {"", "verdict", "status", "dates", "years used", "tier", "review", "test", "quote"}
"""What is told of a number unless all is asked for; reasons where there is no verdict on a change."""
_ORDER = ("claims", "changes", "trends", "breaks", "measurements")
"""Layers in which a reader looks first."""
_SPOKEN = ("measurements", "changes", "trends", "claims")
_NOTE = (
    "Causes are what the inputs of a number differ in; no run was repeated without one of them. All years share: how "
    "scenes are laid on each other, offsets, names and tiers of piles, ground that lasts, what unchanged ground shows "
    "by chance, the baseline year."
)


@dataclass(frozen=True)
class Comparison:
    """Two runs of a site, what they differ in, which numbers moved, and what can have moved each."""

    before: KeptRun
    after: KeptRun
    roots: Sequence[Difference]
    steps: Sequence[Step]
    compared: Compared
    why: Sequence[Why]

    @property
    def names(self) -> Names:
        """Names of the zones."""
        return Names.of(self.before, self.after)


def lines(comparison: Comparison, *, everything: bool) -> Iterator[str]:
    """Say what moved and why.

    Parameters
    ----------
    comparison : Comparison
    everything : bool
        Also numbers the summary of a report does not speak of: rings and controls, single piles, tests that moved with
        others, and digits nobody is shown.
    """
    yield _head(comparison)
    if not (comparison.roots or comparison.compared.moves or comparison.compared.finer):
        yield f"  Nothing moved: {_same(comparison)}."
        return
    yield f"  {_count(comparison)}."
    yield from _roots(comparison)
    yield from _steps(comparison, everything=everything)
    names = comparison.names
    moved = sorted(zip(comparison.compared.moves, comparison.why, strict=True), key=lambda m: _place(m[0], names))
    first = [(move, why) for move, why in moved if move.verdict is not None]
    rest = [(move, why) for move, why in moved if move.verdict is None]
    spoken = [(m, w) for m, w in rest if everything or _is_spoken(m, names)]
    for title, kind, part in (
        ("Verdicts that changed", None, first),
        ("Numbers that moved", "moved", spoken),
        ("Numbers that are new", "new", spoken),
        ("Numbers that are no longer there", "gone", spoken),
    ):
        chosen = [(move, why) for move, why in part if kind in {None, move.kind}]
        if chosen:
            yield f"  {title}: {len(chosen)}"
            for move, why in chosen:
                yield from _told(move, why, names, everything=everything)
    yield from _left(comparison, [move for move, _ in rest], [move for move, _ in spoken], everything=everything)
    if moved:
        yield f"  {_NOTE}"


def _head(comparison: Comparison) -> str:
    runs = [f"run {run.number} ({run.record.finished[:10]})" for run in (comparison.before, comparison.after)]
    mark = "SIMULATED " if comparison.after.manifest.simulated else ""
    return f"{comparison.after.manifest.site}: {mark}{runs[0]} {ARROW} {runs[1]}"


def _same(comparison: Comparison) -> str:
    equal = comparison.before.record.manifest_sha256 == comparison.after.record.manifest_sha256
    return "both runs have the same manifest" if equal else "both have the same inputs, settings, code and numbers"


def _count(comparison: Comparison) -> str:
    moves, same = comparison.compared.moves, comparison.compared.same
    if not moves:
        return f"No number moved; {same} read the same"
    kinds = Counter[str](move.kind for move in moves)
    told = [f"{kinds[kind]} {word}" for kind, word in _KINDS.items() if kinds[kind]]
    verdicts = sum(move.verdict is not None for move in moves)
    changed = f"{verdicts or 'No'} verdict{'' if verdicts == 1 else 's'} changed"
    return f"{changed}; numbers: {listed(told)}, {same} the same"


def _roots(comparison: Comparison) -> Iterator[str]:
    yield "  What they were made from differs in" if comparison.roots else f"  {_UNEXPLAINED}"
    for number, root in enumerate(comparison.roots, start=1):
        yield f"    [{number}] {difference_name(root)}{'' if reaches_numbers(root) else _INERT}"


_INERT = "; no number rests on it by itself"
_UNEXPLAINED = (
    "What they were made from does not differ: nothing recorded explains that numbers moved. One of the results is not "
    "what its inputs give, or the computers are not alike"
)


def _steps(comparison: Comparison, *, everything: bool) -> Iterator[str]:
    if not comparison.steps:
        return
    yield "  On the way from there to the numbers differ"
    shown = len(comparison.steps) if everything else _MOST_STEPS
    for number, step in enumerate(comparison.steps[:shown]):
        yield f"    [{_letter(number)}] {step_name(step, comparison.names)}"
    if len(comparison.steps) > shown:
        yield f"    and {len(comparison.steps) - shown} more; --all lists them"


def _place(move: Move, names: Names) -> tuple[int, int, tuple[int, ...], str]:
    """Return where a number is told: claims, then by zone in the order of the report, each layer by layer."""
    layer = _ORDER.index(move.layer) if move.layer in _ORDER else len(_ORDER)
    years = tuple(move.row[name] for name in ("year_to", "year_from", "year") if name in move.row)
    zone = -1 if move.layer == "claims" else names.place(move.row.get("zone_id"))
    return zone, layer, years, move.address


def _told(move: Move, why: Why, names: Names, *, everything: bool) -> Iterator[str]:
    yield f"    {number_name(move, names)}"
    if move.verdict is not None and move.before is not None and not any(one.field.called == "" for one in move.said):
        yield f"      {number_of(move.layer, move.before)}, as before"
    short = [one for one in move.said if one.field.called in _IN_SHORT or _explains(one, move)]
    for one in move.said if everything or not short else short:
        called = f"{one.field.called}: " if one.field.called else ""
        yield f"      {called}{_change(move, one)}"
    yield f"      {_because(why)}"


def _explains(one: Said, move: Move) -> bool:
    """Whether it is the reason why there is no verdict any more."""
    return one.field.called == "reason" and (move.after or {}).get("verdict") in {"insufficient_data", "not_observable"}


def _change(move: Move, one: Said) -> str:
    if move.kind == "new":
        return f"{_NO_ROW} {ARROW} {one.after}"
    if move.kind == "gone":
        return f"{one.before} {ARROW} {_NO_ROW}"
    moved = "" if one.field.called else difference_of(move.layer, (move.before, move.after))
    return f"{one.before} {ARROW} {one.after}{f', {moved}' if moved else ''}"


def _because(why: Why) -> str:
    """Say what can have moved a number."""
    direct, less = (" ".join(_runs_of(places)) for places in (why.causes, why.less))
    if not direct and not less:
        text = "nothing recorded explains it"
    elif why.certain:
        text = f"because of {direct or less}" + ("" if direct else f", {_SHARED}")
    elif not direct:
        text = f"{_SHARED}, one or more of {less}"
    else:
        text = f"{'one or more of' if len(why.causes) > 1 else 'of'} {direct}" + (
            f"; or, {_SHARED}, of {less}" if less else ""
        )
        text = text if len(why.causes) > 1 else f"because {text}"
    if why.by_tests:
        return f"its own numbers stand; it is tested together with others that moved: {text}"
    steps = "".join(f"[{_letter(n)}]" for n in why.steps[:_MOST_STEPS])
    return text + (f", by way of {steps}" if steps else "")


def _runs_of(places: Sequence[int]) -> list[str]:
    """Write places as they are numbered, neighbours joined: ``[1] [3]-[7]``."""
    spans: list[list[int]] = []
    for place in places:
        if spans and place == spans[-1][-1] + 1:
            spans[-1].append(place)
        else:
            spans.append([place])
    short = 3
    return [
        f"[{span[0] + 1}]–[{span[-1] + 1}]" if len(span) >= short else " ".join(f"[{n + 1}]" for n in span)
        for span in spans
    ]


def _letter(number: int) -> str:
    """Return a letter for a place: ``a`` to ``z``, then ``aa``."""
    rest, place = divmod(number, 26)
    return (_letter(rest - 1) if rest else "") + chr(ord("a") + place)


def _is_spoken(move: Move, names: Names) -> bool:
    """Whether the summary of a report speaks of such a number."""
    if move.by_tests_alone or move.layer not in _SPOKEN:
        return False
    return "zone_id" not in move.row or move.row["zone_id"] in names.headline


def _left(comparison: Comparison, rest: Sequence[Move], spoken: Sequence[Move], *, everything: bool) -> Iterator[str]:
    """Count what is not listed."""
    told = {move.address for move in spoken}
    others = [move for move in rest if move.address not in told]
    for what, chosen in (
        ("moved, are new or gone", [move for move in others if not move.by_tests_alone]),
        (
            "stand, and moved in their tests alone, with others; no verdict is among them",
            [m for m in others if m.by_tests_alone],
        ),
    ):
        if chosen:
            counted = Counter(move.layer for move in chosen)
            kinds = listed([f"{n} {NUMBER_LAYERS[layer][n > 1]}" for layer, n in counted.items()])
            yield f"  Further numbers that {what}: {kinds}; --all lists them"
    finer = comparison.compared.finer
    if finer and not everything:
        yield f"  Of those that read the same, {len(finer)} differ in digits that are not shown; --all names them"
    elif finer:
        yield f"  Numbers that differ in digits that are not shown: {len(finer)}"
        for move in finer:
            yield f"    {number_name(move, comparison.names)}"
