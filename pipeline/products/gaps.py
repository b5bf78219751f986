"""What was not assessed at a site, in sentences with their reasons, gathered from every layer. Pure."""

from collections import Counter
from collections.abc import Sequence

from pipeline.products.results import Results
from pipeline.products.seen import REVIEWED, seen_whole
from pipeline.products.wording import ADEQUATE, METRICS, listed, metric_noun
from pipeline.records import ClaimRow, MeasurementRow, RunRow, SiteRow, StockpileRow
from pipeline.series_records import BreakRow, TrendRow

_OPEN = {
    "piles": "too much of the piles could not be outlined",
    "review": "the images were enough; the decisions of reviewers leave too much of this year open",
}
"""Why a year that was seen has no number."""

_IN_PART = {
    "imagery": "only part of the ground was seen in {}: what is missing is not counted",
    "piles": "not every pile could be outlined in {}: the numbers are measured in part",
    "review": "the decisions of reviewers leave a pile open in {}: the reviewed numbers are measured in part",
}
"""Why a number is one of a part."""


def not_assessed(results: Results) -> tuple[str, ...]:
    """Say what was not assessed, not seen or not tested, and why; a sentence or two for each.

    Parameters
    ----------
    results : Results
        Finished results of one site.

    Returns
    -------
    tuple of str
        Never empty: a site at which everything could be measured says so.
    """
    years = [
        *_metrics(results),
        *(line for year in results.years for line in _year(results, year)),
    ]
    return (
        *(years or ["Every metric has a value in every zone and year."]),
        *_comparisons(results),
        *_references(results),
        *_others(results),
    )


def _metrics(results: Results) -> list[str]:
    """Metrics without any value: the reason stands in the notes of the run."""
    unassessed = sorted({row.metric for row in results.measurements.values() if row.status == "not_assessed"})
    absent = [metric for metric in METRICS if metric not in results.metrics]
    said = []
    if unassessed:
        notes = [row.value for row in results.rows("run", RunRow) if row.key.startswith("note_")]
        reasons = [note for note in notes if "not assessed" in note]
        said.append(f"Not assessed: {listed([metric_noun(m) for m in unassessed])}. {' '.join(reasons)}".strip())
    if absent:
        said.append(f"Without any row in the results: {listed([metric_noun(m) for m in absent])}.")
    return said


def _year(results: Results, year: int) -> list[str]:
    """Say which metrics of a year lack a value, in which zones, and what there was to measure with."""
    rows = [row for row in results.measurements.values() if row.year == year]
    lacking: dict[tuple[str, str], list[MeasurementRow]] = {}
    in_part: dict[str, list[str]] = {}
    for row in rows:
        if row.status == "partial":
            in_part.setdefault(_cause(results, row), []).append(row.zone_id)
        if row.status != "not_assessed" and (row.status not in ADEQUATE or row.value is None):
            lacking.setdefault((row.metric, _cause(results, row)), []).append(row)
    said = []
    for beginning, causes in (("not observable", ("imagery",)), ("without a number", ("piles", "review"))):
        alike: dict[tuple[str, str], list[str]] = {}
        for metric, cause in sorted(lacking, key=lambda key: results.metrics.index(key[0])):
            if cause in causes:
                of_metric = lacking[metric, cause]
                why = _OPEN.get(cause) or _seen(of_metric)
                alike.setdefault((_zones(results, [r.zone_id for r in of_metric]), why), []).append(metric)
        parts = [f"{listed([metric_noun(m) for m in ms])} in {zones} ({why})" for (zones, why), ms in alike.items()]
        said += [f"{year}, {beginning}: {'; '.join(parts)}."] if parts else []
    for cause, zone_ids in in_part.items():
        said.append(f"{year}, {_IN_PART[cause].format(_zones(results, list(dict.fromkeys(zone_ids))))}.")
    return said


def _cause(results: Results, row: MeasurementRow) -> str:
    """Say why a year has no value or a partial one: ``review``, ``piles`` or ``imagery``."""
    machine = results.measurements.get((row.zone_id, row.metric.removeprefix(REVIEWED), row.year))
    # The same images lie under both numbers: what the program could measure they show.
    if machine is not None and machine is not row and machine.value is not None and machine.status != row.status:
        return "review"
    return "piles" if seen_whole(row) else "imagery"


def _zones(results: Results, zone_ids: Sequence[str]) -> str:
    """Name zones, or say that they are all of them."""
    everywhere = {zone_id for zone_id, _, _ in results.measurements}
    if len(everywhere) > 1 and set(zone_ids) == everywhere:
        return "both zones" if len(everywhere) == 2 else f"all {len(everywhere)} zones"  # noqa: PLR2004 - both
    return listed([results.zone_name(zone_id) for zone_id in sorted(zone_ids, key=results.zone_ids.index)])


def _seen(rows: Sequence[MeasurementRow]) -> str:
    """``2 usable dates`` or ``2 to 4 usable dates``, and the share of the ground they show."""
    counts = sorted(row.n_dates for row in rows)
    shares = sorted(round(row.valid_fraction * 100) for row in rows)
    dates = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    share = f"{shares[0]}" if shares[0] == shares[-1] else f"{shares[0]} to {shares[-1]}"
    return f"{dates} usable {'date' if counts[-1] == 1 else 'dates'}, {share} % of the ground seen often enough"


def _comparisons(results: Results) -> list[str]:
    """Count comparisons, trends and tests of resolutions without a verdict."""
    changes = list(results.changes.values())
    without = sum(row.verdict == "insufficient_data" for row in changes)
    said = []
    if without:
        said.append(
            f"{without} of {len(changes)} comparisons of two years have insufficient data; the table of changes gives "
            "each reason."
        )
    trends = results.rows("trends", TrendRow)
    short = sum(row.verdict == "insufficient_data" for row in trends)
    if short:
        said.append(f"{short} of {len(trends)} trends were not assessed: a trend needs five comparable adequate years.")
    untested: dict[str, Counter[str]] = {}
    for row in results.rows("breaks", BreakRow):
        if row.verdict == "insufficient_data":
            untested.setdefault(row.resolution, Counter())[row.reason or "no reason recorded"] += 1
    # Years are alike in all zones but for clouds: the reason of most stands for a resolution.
    reasons: dict[str, list[str]] = {}
    for resolution in sorted(untested):
        reason = min(untested[resolution].items(), key=lambda item: (-item[1], item[0]))[0]
        reasons.setdefault(reason, []).append(resolution)
    said += [
        f"The level before and after resolution {listed(resolutions)} could not be compared ({reason})."
        for reason, resolutions in reasons.items()
    ]
    return said


def _references(results: Results) -> list[str]:
    """Say which outlines from sources the site lacks."""
    roles = {row.role for row in results.rows("sites", SiteRow)}
    said = []
    if "perimeter" not in roles:
        said.append(
            "No perimeter from a source is known: whether a security perimeter moved was not assessed, only ground."
        )
    if "control" not in roles:
        said.append("There is no control zone: changes were not compared with those of a like place without a camp.")
    return said


def _others(results: Results) -> list[str]:
    """Claims that could not be observed, volume and review."""
    claims = [row.claim_id for row in results.rows("claims", ClaimRow) if row.verdict == "not_observable"]
    piles = results.rows("stockpiles", StockpileRow)
    said = []
    if claims:
        said.append(f"Claims that could not be tested with what was measured: {listed(sorted(claims))}.")
    if piles and all(row.volume_lo_m3 is None for row in piles):
        said.append("Volume was not assessed: it was not asked for, and imagery of this kind does not measure height.")
    if piles and not any(row.tier == "confirmed" for row in piles):
        said.append("No pile has been confirmed by a person's review; tiers are those of the program.")
    return said
