"""The lists of scenes used and refused, for the report. Pure."""

import datetime as dt
from collections.abc import Sequence

from pipeline.products.listings import Cell, Column, Listing, cells
from pipeline.products.rounding import ABSENT, show_metres, show_percent
from pipeline.records import SceneRow

_HASH_SHOWN = 12


def scenes_listings(scenes: Sequence[SceneRow]) -> tuple[Listing, Listing]:
    """Scenes used, and scenes refused with the reason."""
    ordered = sorted(scenes, key=lambda s: (_utc(s.datetime), s.scene_id))
    head = (Column("Time (UTC)", share=1.6), Column("Scene", share=0.0), Column("Platform", share=1.2))
    base = (Column("Baseline", share=0.9), Column("Orbit", number=True, share=0.7))
    used = Listing(
        "Scenes used",
        "Baseline: processing baseline. Offset: verdict of the test of the radiometric offset on the pixels. Shift: "
        f"applied to lie on the reference scene, metres east and north. {ABSENT} : not stated or not assessed."
        f"{_later_versions(ordered)}",
        (
            *(*head, *base, Column("Clear", number=True, share=0.8), Column("Offset", share=1.2)),
            *(Column("Shift, m", number=True, share=1.3), Column("SHA-256", share=1.6)),
        ),
        tuple(_used_cells(s) for s in ordered if s.used),
        "No scene was used.",
        wide=True,
    )
    refused = Listing(
        "Scenes refused",
        "A scene that is refused contributes nothing to any number.",
        (*head, *base, Column("Reason", share=4.0)),
        tuple((*_scene_cells(s), Cell(s.reason or "no reason recorded")) for s in ordered if not s.used),
        "No scene was refused.",
        wide=True,
    )
    return used, refused


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


def _used_cells(scene: SceneRow) -> tuple[Cell, ...]:
    shift = ABSENT
    if scene.shift_x_m is not None and scene.shift_y_m is not None:
        shift = f"{show_metres(scene.shift_x_m)}, {show_metres(scene.shift_y_m)}"
    digest = scene.sha256[:_HASH_SHOWN] if scene.sha256 else ABSENT
    rest = (show_percent(scene.clear_fraction), scene.offset_verdict or ABSENT, shift, digest)
    return (*_scene_cells(scene), *cells(*rest))
