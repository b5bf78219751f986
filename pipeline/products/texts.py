"""Standing paragraphs of the report: how to read it, method, limits, how to trace and cite a number. Pure."""

import datetime as dt
from collections.abc import Sequence

from pipeline.products.results import Results
from pipeline.products.wording import day, listed
from pipeline.records import RunRow, SceneRow

READING = (
    (
        "increase, decrease",
        (
            "The 95 % interval of the difference between two years excludes 0, and the change also holds after "
            "allowing for the number of comparisons made (q at or below the limit)."
        ),
    ),
    (
        "no detectable change",
        (
            "The difference is within what measurement error and chance explain. It does not say that nothing "
            "changed: a change smaller than the decision limit would not be called."
        ),
    ),
    (
        "insufficient data",
        (
            "One of the two years has too few usable dates or too little of the ground in view, the two years were "
            "seen in different seasons, or new ground still waits for another year to confirm it. It is no verdict "
            "on the ground."
        ),
    ),
    (
        "supported, contradicted",
        (
            "For a claim: the measured change lies above 0 after allowing for the number of comparisons; or below "
            "the margin that was fixed before the run."
        ),
    ),
    (
        "not detectable, not observable",
        (
            "For a claim: the measurement decides neither way; or there is nothing to measure it with (no adequate "
            "year, no sourced zone or perimeter)."
        ),
    ),
    (
        "95 % interval",
        (
            "What measurement error leaves open: of a hundred such intervals about 95 hold the true value. It holds "
            "for the area of what was outlined, not for whether that is coal."
        ),
    ),
    (
        "p, q",
        (
            "p: how often chance alone gives such a difference. q: the same with all comparisons of the site taken "
            "into account (Benjamini and Hochberg): of the changes called, about that share is expected to be false "
            "at most."
        ),
    ),
    (
        "candidate, probable, confirmed",
        (
            "Tiers of a pile. Candidate: dark bulk material that is listed and never counted. Probable: large and "
            "lasting enough, with the colour of coal on most dates; counted. Confirmed: accepted by a person who "
            "reviewed it; the program never gives this tier."
        ),
    ),
    (
        "certain, possible gain and loss",
        (
            "Ground that changed by more than the positional noise of both years; ground that changed within it, or "
            "that only the last year shows."
        ),
    ),
    (
        "called from, found from",
        (
            "Called from: the smallest change that would be called (1.96 standard deviations of the difference). "
            "Found from: the change that would be found 95 times in 100 (3.6 standard deviations)."
        ),
    ),
)
"""Terms of the report and what each says."""

LIMITS = (
    (
        "A fence, a wall or a guard line is not visible at 10 m. What is measured is occupied ground: that it grew "
        "past a line does not show that a security perimeter moved."
    ),
    (
        "A stock is not a flow. A larger pile may be output that was not sold or moved; a smaller one may be more "
        "transport. Pile area says nothing certain about production or export."
    ),
    (
        "Colour does not settle the material. What is outlined is dark bulk material; asphalt, dark roofs, slag, "
        "spoil and ore can look alike. Persistence over dates and context reduce this and do not remove it."
    ),
    (
        "Piles below 0.2 ha (20 pixels) are as a rule listed and not counted. Small or narrow piles, covered "
        "stores and underground workings are not seen."
    ),
    (
        "Area is measured, not height. A volume, where one is given, is a range under stated assumptions and no "
        "measurement."
    ),
    (
        "An image is one moment of a morning. Stocks that come and go between usable dates are not seen; each year's "
        "value is a median over its dates, and the number of dates stands beside it."
    ),
    (
        "Cloud, snow, haze and low sun remove dates. A year with too few is left out: it is never filled in or "
        "interpolated."
    ),
    "No radar (Sentinel-1) is used in this version; nothing is seen through cloud.",
    (
        "Who lives or works at a place, under what conditions, who owns what lies there and why it changed cannot be "
        "seen."
    ),
)
"""What 10 m imagery cannot show (science 1 to 4; aoi/claims.yaml)."""

_NO_TERRAIN = (
    "No terrain model is used: slopes in grazing light are excluded by sun height alone, not by a test of the "
    "illumination of each slope."
)

TRACING = (
    (
        "Every number of this report is a row of the GeoPackage beside it ({site_id}.gpkg): measurements and changes "
        "hold the years' values, stockpile_observations one row per pile and date, each with its scene."
    ),
    (
        "The command stockline trace, with this folder and the address of a finding or a row (what stands after # in "
        "its link), follows it to outlines, to the pixels they were drawn from (masks) and to the files of each "
        "scene; tables/findings.json holds every finding with the rows it rests on."
    ),
    (
        "The layer scenes holds every scene that was considered, its verdict, its shift and the hash of its pixels; "
        "the list below is the same."
    ),
    (
        "manifest.json holds the SHA-256 of every input, setting, source file and product. The command stockline "
        "verify on this folder, or on the folder of all sites, checks them again without a network and names what "
        "differs."
    ),
    (
        "The same inputs, settings and program give the same bytes; stockline report rebuilds this document from the "
        "results."
    ),
)
"""How a number is traced; ``{site_id}`` is filled in."""


METHOD = (
    (
        "Scenes",
        (
            "Every Sentinel-2 level 2A scene of the years and seasons is looked up, and the pixels of the site "
            "are kept or referred to by their hash. Values become surface reflectance. Products processed from "
            "January 2022 on carry an offset that older ones lack: whether it was taken off is tested on the "
            "pixels themselves, and a scene that fails is refused. Each scene is shifted onto one reference "
            "scene by a part of a pixel."
        ),
    ),
    (
        "Clear ground",
        (
            "Cloud, cloud shadow, snow, haze and low sun are masked, by the scene's classes and by what departs "
            "from the pixel's own history. What is masked is no data. It is never counted as absence and never "
            "filled in."
        ),
    ),
    (
        "Piles",
        (
            "Dates {stock} count. A pixel that looks like coal on most of a year's clear dates belongs to "
            "an object. On every date its outline is drawn where the reflectance lies half-way between the pile "
            "and the ground beside it, so that an area is finer than the pixels of 10 m. The year's area is the "
            "median of its dates. The colour of the whole object gives a probability of coal, and with it the "
            "tier."
        ),
    ),
    (
        "Occupied ground",
        (
            "Dates {ground} count. Occupied is ground whose vegetation index stays low through the "
            "growing season and that is not water. A gain is certain only beyond the positional noise of both "
            "years, and when another adequate year beside it shows it too."
        ),
    ),
    (
        "Intervals",
        (
            "The interval of an area combines the error of pixels along the outline, an edge that is off all "
            "round, and the spread of the dates. The interval of a difference counts what both years err in "
            "alike only once. A gain of ground is held against what two halves of one year's dates differ by."
        ),
    ),
    (
        "Years and verdicts",
        (
            "A year is adequate with at least {least} usable dates and enough of the zone in view. Each adequate "
            "year is compared with the one before it and with the baseline year. An increase or decrease is "
            "called when the interval of the difference excludes 0 and q is at or below its limit, which was set "
            "before the run."
        ),
    ),
    (
        "Accuracy",
        (
            "Tested on piles of known outline put into simulated and real scenes, not on measured coal: "
            "docs/accuracy.md and docs/science.md of the program give figures, formulas and sources."
        ),
    ),
)
"""Steps of the method and what each does; ``{stock}``, ``{ground}`` and ``{least}`` are filled in."""


def method(results: Results) -> tuple[tuple[str, str], ...]:
    """Tell the method in a page: a heading and a paragraph for each step, with the settings of this run.

    Parameters
    ----------
    results : Results
        Its layer ``run`` holds the settings.
    """
    said = _run(results)
    filled = {
        "least": said.get("setting_min_dates", "the least number that was set of"),
        "stock": _seasons(said.get("setting_stockpile_windows", "")),
        "ground": _seasons(said.get("setting_footprint_windows", "")),
    }
    return tuple((heading, paragraph.format_map(filled)) for heading, paragraph in METHOD)


def limits(results: Results) -> tuple[str, ...]:
    """Say what 10 m imagery cannot show, and that no terrain model was used where that is so."""
    gate = _run(results).get("illumination_gate", "off")
    return (*LIMITS, *([_NO_TERRAIN] if gate.startswith("off") else []))


def cite(
    title: str, program: str, package: tuple[str, str], scenes: Sequence[SceneRow], credit: str
) -> tuple[str, ...]:
    """Say how to cite the report, so that the citation names these very bytes.

    Parameters
    ----------
    title : str
        Of the report.
    program : str
        Version of the program and hash of its source.
    package : tuple of str
        Name of the GeoPackage and its SHA-256.
    scenes : sequence of SceneRow
        The scenes considered; the citation names the span of those used.
    credit : str
        The data credit, or that the data are simulated.
    """
    days = sorted(scene.datetime.date() for scene in scenes if scene.used)
    span = f"{len(days)} scenes of {day(days[0])} to {day(days[-1])}" if days else "no scene used"
    name, digest = package
    return (
        f"{title}. Made with Stockline {program}, from {span}. Results: {name}, SHA-256 {digest}. {credit}",
        (
            "manifest.json beside this report holds this hash and those of the report, of every input and setting. "
            "Its own hash (sha256sum manifest.json; manifest_sha256 in run.json) fixes them all: add it, and the day "
            "on which you read them. Quote a verdict with its interval, its years and its number of dates."
        ),
    )


def _seasons(windows: str) -> str:
    """``04-01 to 06-15, 09-01 to 10-20`` in words; without any, that they were set."""
    if not windows:
        return "within the seasons that were set"
    # A leap year has every day a window may name.
    days = [dt.date.fromisoformat(f"2000-{end}") for window in windows.split(", ") for end in window.split(" to ")]
    named = [day(date).removesuffix(" 2000") for date in days]
    return listed([f"from {first} to {last}" for first, last in zip(named[::2], named[1::2], strict=True)])


def _run(results: Results) -> dict[str, str]:
    """Facts and settings of the run."""
    return {row.key: row.value for row in results.rows("run", RunRow)}
