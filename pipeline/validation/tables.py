"""Figures as a page of tables; every rate with what it rests on. Pure."""

from collections.abc import Sequence

from pipeline.validation.figures import Figures, Rate, SizeFigures, reliability
from pipeline.validation.outcomes import WorldResult

_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)

Facts = Sequence[tuple[str, str]]


def page(facts: Facts, groups: Sequence[tuple[str, Figures]], results: Sequence[WorldResult]) -> str:
    """Write the whole page in Markdown.

    Parameters
    ----------
    facts : sequence of (name, value)
        Commit, seeds, time: what the run was.
    groups : sequence of (name, Figures)
        In the order they stand.
    results : sequence of WorldResult
        All of them, for the reliability of the probability.
    """
    lines = ["Implants, not measured coal.", ""]
    lines += [f"- {name}: {value}" for name, value in facts]
    for name, figures in groups:
        lines += ["", f"### {name}", "", *_sizes(figures.sizes), "", *_verdicts(figures)]
        if figures.by_cause:
            lines += ["", *_causes(figures)]
    lines += ["", "### Probability of coal", "", *_reliability(results)]
    return "\n".join(lines) + "\n"


def _sizes(sizes: Sequence[SizeFigures]) -> list[str]:
    head = (
        "size, ha", "piles", "pile-years", "found, %", "counted, %", "area: median bias, %", "mean abs. error, %",
        "half width, %", "95 % interval holds, %", "changes", "95 % interval of change holds, %",
    )  # fmt: skip
    rows = [
        (
            f"{s.class_ha[0]:g}-{s.class_ha[1]:g}", str(s.piles), str(s.found.of), _rate(s.found), _rate(s.counted),
            _percent(s.bias), _percent(s.error), _percent(s.half_width), _rate(s.area_covered),
            str(s.change_covered.of), _rate(s.change_covered),
        )
        for s in sizes
    ]  # fmt: skip
    return _table(head, rows)


def _verdicts(f: Figures) -> list[str]:
    lines = [
        f"- verdicts right, 0.5 ha and more, change over twice the detectable one: {_count(f.right)}",
        f"- unchanged piles of 0.5 ha and more called changed, by pair of years: {_count(f.false_change)}",
        f"- year of appearance right, 0.5 ha and more: {_count(f.appeared)}",
        f"- parts of worlds in which nothing changes, with a verdict of change: {_count(f.still_sites)}",
    ]
    if f.area_km2_years:
        for name, count in (("listed", f.false_listed), ("counted (tier probable)", f.false_counted)):
            per, upper = f.per_100_km2_year(count)
            lines.append(
                f"- false objects of 0.2 ha and more, {name}: {count} in {f.area_km2_years:,.0f} km2 years, "
                f"{per:.2f} per 100 km2 and year (upper 95 % bound {upper:.2f})"
            )
    return lines


def _causes(f: Figures) -> list[str]:
    rows = [(name, str(stood), str(listed), str(counted)) for name, stood, listed, counted in f.by_cause]
    return _table(("what stood there", "objects", "listed, object-years", "counted, object-years"), rows)


def _reliability(results: Sequence[WorldResult]) -> list[str]:
    rows = [
        (f"{low:g}-{high:g}", str(n), "-" if n == 0 else f"{100 * hits / n:.0f}")
        for low, high, n, hits in reliability(results, _EDGES)
    ]
    return _table(("stated", "object-years", "are piles, %"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _rate(rate: Rate) -> str:
    if rate.share is None:
        return "-"
    low, high = rate.interval
    return f"{100 * rate.share:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def _count(rate: Rate) -> str:
    if rate.share is None:
        return "none to judge"
    low, high = rate.interval
    return f"{rate.hits} of {rate.of}, {100 * rate.share:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f})"
