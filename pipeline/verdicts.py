"""Which verdicts of a site changed between two results, and what the results differ in. Pure.

Both are documents of :func:`pipeline.products.numbers.numbers_of`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from pipeline.summary import Headline, Verdict, VerdictChange

Numbers: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Mapping[str, Any]
_LAYERS: tuple[Literal["changes", "trends", "breaks", "claims"], ...] = ("changes", "trends", "breaks", "claims")
_NEWS = {"increase", "decrease", "supported", "contradicted"}
"""Verdicts that say something was seen: a row that appears or goes is news only with one of them."""
_VALUES = {"changes": "delta", "trends": "slope_per_year", "breaks": "delta", "claims": "value"}
_HEADLINES = ("stockpile_area_m2", "footprint_area_m2", "boundary_gain_m2")
_CODE = ("version", "code_sha256")
_EMPTY: Row = {}


def verdict_changes(before: Numbers, after: Numbers) -> list[VerdictChange]:
    """Name the changes, trends, breaks and claims whose verdict is another one, in the order of the layers.

    Parameters
    ----------
    before, after : mapping
        Numbers of the same site.
    """
    site, simulated = after["facts"]["site_id"], after["facts"]["simulated"] == "yes"
    names = {row["zone_id"]: row["name"] for row in (*_rows(before, "zones").values(), *_rows(after, "zones").values())}
    found = []
    for layer in _LAYERS:
        old, new = _rows(before, layer), _rows(after, layer)
        for address in [*new, *(gone for gone in old if gone not in new)]:
            sides = old.get(address), new.get(address)
            if not _is_news(*sides):
                continue
            row = sides[1] or sides[0] or _EMPTY
            zone = row.get("zone_id")
            found.append(
                VerdictChange(
                    site=site,
                    simulated=simulated,
                    address=address,
                    layer=layer,
                    zone="whole site" if zone == "site" else names.get(zone, zone),
                    metric=row.get("metric"),
                    years=_years(layer, row),
                    before=None if sides[0] is None else _verdict(layer, sides[0]),
                    after=None if sides[1] is None else _verdict(layer, sides[1]),
                    differs=tuple(_differs(before, after, layer, row)),
                )
            )
    return found


def headlines_of(numbers: Numbers) -> tuple[Headline, ...]:
    """Return what the headline metrics say of the whole site: the newest year that can be judged, from the first."""
    found = []
    base = int(numbers["facts"].get("baseline_year") or 0)
    for metric in _HEADLINES:
        of_site = [r for r in _rows(numbers, "changes").values() if r["metric"] == metric and r["zone_id"] == "site"]
        rows = sorted(of_site, key=lambda row: (row["year_to"], row["year_from"]))
        judged = [row for row in rows if row["delta"] is not None]
        if not rows:
            continue
        newest = next((row for row in judged if row["year_to"] == judged[-1]["year_to"]), None)
        unjudged = {row["year_to"] for row in rows} - {row["year_to"] for row in judged} - {base}
        found.append(
            Headline(
                metric=metric,
                years=None if newest is None else _years("changes", newest),
                said=_verdict("changes", newest or rows[-1]),
                unjudged=tuple(sorted(unjudged)),
            )
        )
    return tuple(found)


def _rows(numbers: Numbers, layer: str) -> Mapping[str, Row]:
    return numbers["rows"].get(layer, {})  # type: ignore[no-any-return]  # of a checked document


def _is_news(before: Row | None, after: Row | None) -> bool:
    if before is None or after is None:
        return (before or after or _EMPTY).get("verdict") in _NEWS
    return bool(before["verdict"] != after["verdict"])


def _verdict(layer: str, row: Row) -> Verdict:
    return Verdict(
        verdict=row["verdict"],
        value=row[_VALUES[layer]],
        lo95=row.get("lo95"),
        hi95=row.get("hi95"),
        unit=row.get("unit"),
        reason=row.get("reason"),
    )


def _years(layer: str, row: Row) -> str | None:
    if layer == "changes":
        return f"{row['year_from']}-{row['year_to']}"
    if layer == "trends":
        return f"{row['year_first']}-{row['year_last']}"
    return str(row["resolution"]) if layer == "breaks" else None


def _differs(before: Numbers, after: Numbers, layer: str, row: Row) -> Iterator[str]:
    """Say what two results were made from that differs; which of it moved the verdict is not known from that."""
    years = {row["year_from"], row["year_to"]} if layer == "changes" else None
    metric = row.get("metric")
    old, new = (_scenes(numbers, metric, years) for numbers in (before, after))
    if new.keys() - old.keys():
        yield _count(len(new.keys() - old.keys()), "scene more", "scenes more")
    if old.keys() - new.keys():
        yield _count(len(old.keys() - new.keys()), "scene less", "scenes less")
    renewed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    if renewed:
        yield _count(renewed, "scene with other pixels", "scenes with other pixels")
    facts = before["facts"], after["facts"]
    settings = {key for key in facts[0].keys() | facts[1].keys() if key.startswith("setting_")}
    if any(facts[0].get(key) != facts[1].get(key) for key in settings):
        yield "other settings"
    if any(facts[0].get(key) != facts[1].get(key) for key in _CODE):
        yield "another version of the program"
    if _rows(before, "reviews") != _rows(after, "reviews"):
        yield "other decisions of reviewers"


def _scenes(numbers: Numbers, metric: str | None, years: set[int] | None) -> dict[str, str | None]:
    """Scenes the numbers of a metric rest on in some years, or all, and the hash of their pixels."""
    pixels = {row["scene_id"]: row["sha256"] for row in _rows(numbers, "scenes").values()}
    return {
        row["scene_id"]: pixels.get(row["scene_id"])
        for row in _rows(numbers, "year_scenes").values()
        if (metric is None or row["metric"] == metric) and (years is None or row["year"] in years)
    }


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
