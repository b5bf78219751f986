"""The lists of scenes used and refused, for the report. Pure."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from pipeline.products.listings import Cell, Column, Listing, address, cells, number_cell
from pipeline.products.results import Results
from pipeline.products.rounding import ABSENT, show_metres, show_percent
from pipeline.records import RunRow, SceneRow

_HASH_SHOWN = 12
_NOTE = (
    "For: the season the scene lies in, that of piles or that of occupied ground. Baseline: processing baseline. "
    "Offset: verdict of the test of the radiometric offset on the pixels. Shift: applied to lie on the reference "
    f"scene, metres east and north. {ABSENT} : not stated or not assessed."
)
_PURPOSES = {"stockpile": "piles", "footprint": "ground"}
"""Season of the settings, and what its scenes are looked at for."""


def seasons_of(results: Results) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the windows of each purpose, as first and last month-day; empty where the run has not recorded them."""
    said = {row.key: row.value for row in results.rows("run", RunRow)}
    found = {}
    for season, purpose in _PURPOSES.items():
        windows = re.findall(r"(\d\d-\d\d) to (\d\d-\d\d)", said.get(f"setting_{season}_windows", ""))
        found[purpose] = tuple((first, last) for first, last in windows)
    return found if all(found.values()) else {}


def purposes(scene: SceneRow, seasons: Mapping[str, tuple[tuple[str, str], ...]]) -> tuple[str, ...]:
    """Say what a scene was looked at for: the seasons its day lies in; all where seasons are not known."""
    day = _utc(scene.datetime).strftime("%m-%d")
    return tuple(
        purpose
        for purpose in _PURPOSES.values()
        if not seasons or any(first <= day <= last for first, last in seasons[purpose])
    )


def scenes_of(results: Results, metric: str, year: int) -> int:
    """Count the scenes of a year that a metric may rest on: used, and of its season."""
    seasons, purpose = seasons_of(results), "piles" if metric.startswith("stockpile") else "ground"
    return sum(
        scene.used and _utc(scene.datetime).year == year and purpose in purposes(scene, seasons)
        for scene in results.rows("scenes", SceneRow)
    )


def scenes_listings(results: Results) -> tuple[Listing, ...]:
    """List the scenes used, year by year, and those refused with the reason."""
    ordered = sorted(results.rows("scenes", SceneRow), key=lambda s: (_utc(s.datetime), s.scene_id))
    seasons = seasons_of(results)
    years = sorted({*results.years, *(_utc(s.datetime).year for s in ordered if s.used)})
    by_year = [[s for s in ordered if s.used and _utc(s.datetime).year == year] for year in years]
    head = (Column("Time (UTC)", share=1.6), Column("Scene", share=0.0), Column("Platform", share=1.2))
    base = (Column("Baseline", share=0.9), Column("Orbit", number=True, share=0.7))
    columns = (
        *(*head, *base, Column("For", share=0.9), Column("Clear", number=True, share=0.8), Column("Offset", share=1.2)),
        *(Column("Shift, m", number=True, share=1.3), Column("SHA-256", share=1.6)),
    )
    used = [
        Listing(
            f"Scenes used in {year}",
            ((_NOTE if year == years[0] else "") + _later_versions(scenes)).strip(),
            columns,
            tuple(_used_cells(s, seasons) for s in scenes),
            "No scene of this year was used.",
            wide=True,
            anchor=address("scenes", year),
            row_ids=tuple((address("scene", s.scene_id),) for s in scenes),
        )
        for year, scenes in zip(years, by_year, strict=True)
    ]
    refused = [s for s in ordered if not s.used]
    return (
        *used,
        Listing(
            "Scenes refused",
            "A scene that is refused contributes nothing to any number.",
            (*head, *base, Column("Reason", share=4.0)),
            tuple((*_scene_cells(s), Cell(s.reason or "no reason recorded")) for s in refused),
            "No scene was refused.",
            wide=True,
            anchor="scenes-refused",
            row_ids=tuple((address("scene", s.scene_id),) for s in refused),
        ),
    )


def _later_versions(scenes: Sequence[SceneRow]) -> str:
    """Name the scenes whose pixels the provider has changed since they were first fetched."""
    later = [f"{s.scene_id} (version {s.evidence_version})" for s in scenes if s.used and (s.evidence_version or 1) > 1]
    if not later:
        return ""
    return (
        f" The provider has changed the pixels of {len(later)} of these scenes since they were first fetched; both are "
        f"kept, and the version named here is used: {', '.join(later)}."
    )


def _utc(moment: dt.datetime) -> dt.datetime:
    """Return the moment in UTC; one without a zone is UTC already."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _scene_cells(scene: SceneRow) -> tuple[Cell, ...]:
    orbit = ABSENT if scene.relative_orbit is None else str(scene.relative_orbit)
    time = _utc(scene.datetime).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")
    return cells(time, scene.scene_id, scene.platform or ABSENT, scene.processing_baseline or ABSENT, orbit)


def _used_cells(scene: SceneRow, seasons: Mapping[str, tuple[tuple[str, str], ...]]) -> tuple[Cell, ...]:
    shift = ABSENT
    if scene.shift_x_m is not None and scene.shift_y_m is not None:
        shift = f"{show_metres(scene.shift_x_m)}, {show_metres(scene.shift_y_m)}"
    digest = scene.sha256[:_HASH_SHOWN] if scene.sha256 else ABSENT
    return (
        *(*_scene_cells(scene), Cell(" and ".join(purposes(scene, seasons)) or ABSENT)),
        number_cell(show_percent(scene.clear_fraction), scene.clear_fraction),
        *cells(scene.offset_verdict or ABSENT, shift, digest),
    )
