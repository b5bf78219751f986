"""The lists of scenes used and refused, for the report. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence

from pipeline.products.listings import Cell, Column, Listing, cells, number_cell
from pipeline.products.results import Results
from pipeline.products.rounding import ABSENT, show_metres, show_percent
from pipeline.products.row_address import address, row_address
from pipeline.records import SceneRow
from pipeline.series_records import YearSceneRow

_HASH_SHOWN = 12
_NOTE = (
    "For: what of its year rests on the scene, piles or occupied ground. Baseline: processing baseline. "
    "Offset: verdict of the test of the radiometric offset on the pixels. Shift: applied to lie on the reference "
    f"scene, metres east and north. {ABSENT} : not stated or not assessed."
)
_PURPOSES = {"stockpile": "piles", "footprint": "ground"}
"""First word of a metric, and what its scenes are looked at for."""


def scenes_of(results: Results, metric: str, year: int) -> int:
    """Count the scenes a metric of a year rests on."""
    return sum((row.metric, row.year) == (metric, year) for row in results.rows("year_scenes", YearSceneRow))


def purposes(results: Results) -> dict[str, tuple[str, ...]]:
    """Say what each scene was looked at for, by its id."""
    found: dict[str, set[str]] = {}
    for row in results.rows("year_scenes", YearSceneRow):
        found.setdefault(row.scene_id, set()).add(row.metric.split("_", 1)[0])
    return {name: tuple(word for kind, word in _PURPOSES.items() if kind in kinds) for name, kinds in found.items()}


def scenes_listings(results: Results) -> tuple[Listing, ...]:
    """List the scenes used, year by year, and those refused with the reason."""
    ordered = sorted(results.rows("scenes", SceneRow), key=lambda s: (_utc(s.datetime), s.scene_id))
    looked_at = purposes(results)
    years = sorted({*results.years, *(_utc(s.datetime).year for s in ordered if s.used)})
    by_year = [[s for s in ordered if s.used and _utc(s.datetime).year == year] for year in years]
    head = (Column("Time (UTC)", share=1.6), Column("Scene", share=0.0), Column("Platform", share=1.2))
    base = (Column("Baseline", share=0.9), Column("Orbit", number=True, share=0.7))
    columns = (
        *(*head, *base, Column("For", share=1.4), Column("Clear", number=True, share=0.8), Column("Offset", share=1.2)),
        *(Column("Shift, m", number=True, share=1.3), Column("SHA-256", share=1.6)),
    )
    used = [
        Listing(
            f"Scenes used in {year}",
            ((_NOTE if year == years[0] else "") + _later_versions(scenes)).strip(),
            columns,
            tuple(_used_cells(s, looked_at) for s in scenes),
            "No scene of this year was used.",
            wide=True,
            anchor=address("scenes", year),
            row_ids=tuple((row_address("scenes", s),) for s in scenes),
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
            row_ids=tuple((row_address("scenes", s),) for s in refused),
        ),
    )


def _later_versions(scenes: Sequence[SceneRow]) -> str:
    """Name the scenes of which another version of the pixels is used than the first."""
    later = [f"{s.scene_id} (version {s.evidence_version})" for s in scenes if s.used and (s.evidence_version or 1) > 1]
    if not later:
        return ""
    return (
        f" Of {len(later)} of these scenes the pixels used are not the first that were fetched, since the provider has "
        f"changed them or an earlier copy is broken; every version is kept, and this one is used: {', '.join(later)}."
    )


def _utc(moment: dt.datetime) -> dt.datetime:
    """Return the moment in UTC; one without a zone is UTC already."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _scene_cells(scene: SceneRow) -> tuple[Cell, ...]:
    orbit = ABSENT if scene.relative_orbit is None else str(scene.relative_orbit)
    time = _utc(scene.datetime).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")
    return cells(time, scene.scene_id, scene.platform or ABSENT, scene.processing_baseline or ABSENT, orbit)


def _used_cells(scene: SceneRow, looked_at: Mapping[str, tuple[str, ...]]) -> tuple[Cell, ...]:
    shift = ABSENT
    if scene.shift_x_m is not None and scene.shift_y_m is not None:
        shift = f"{show_metres(scene.shift_x_m)}, {show_metres(scene.shift_y_m)}"
    digest = scene.sha256[:_HASH_SHOWN] if scene.sha256 else ABSENT
    return (
        *(*_scene_cells(scene), Cell(" and ".join(looked_at.get(scene.scene_id, ())) or ABSENT)),
        number_cell(show_percent(scene.clear_fraction), scene.clear_fraction),
        *cells(scene.offset_verdict or ABSENT, shift, digest),
    )
