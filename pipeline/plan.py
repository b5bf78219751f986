"""What a run of a site would read and cost, before any pixel is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import sources
from pipeline.config import Config
from pipeline.grid import choose_epsg, make_grid
from pipeline.imagery import Refusal, Scene
from pipeline.ledger import NOTHING
from pipeline.passes.scene import BANDS
from pipeline.presets import PRESETS
from pipeline.remote import Line
from pipeline.scenes import select_scenes
from pipeline.store import Store, copying, held
from pipeline.types import Grid, Site

_FINE = ("blue", "green", "red", "nir")
_SECONDS_PER_MEGAPIXEL = 0.05
"""All passes together on one core, per million pixels of a band (docs/performance.md)."""
_SECONDS_PER_SITE = 4.0
"""What a site takes however small it is: start, tables, reports."""
_SECONDS_PER_REQUEST = 0.2
"""One round trip."""
_BYTES_PER_SECOND = 5e6


@dataclass(frozen=True)
class Planned:
    """Scenes of a site and the grid it is measured on, before any pixel is fetched."""

    grid: Grid
    scenes: Sequence[Scene]
    refused: Sequence[Refusal]


def plan_site(site: Site, config: Config, line: Line) -> Planned:
    """Search a site's scenes and choose its tile family; reads no pixel."""
    items = sources.load(config.source.kind).search(site.aoi, config, line)
    epsg = choose_epsg(site.aoi, items)
    scenes, refused = select_scenes(items, epsg, site.aoi)
    return Planned(make_grid(site.aoi, epsg), scenes, refused)


def open_store(config: Config, line: Line) -> Store:
    """Give the evidence store of an output folder, filled from the configured source."""
    preset = PRESETS.get(config.source.preset or "")
    deliver = sources.load(config.source.kind).deliver
    return Store(config.store or config.out / "evidence", line, deliver, preset.licence if preset else None)


def estimate(planned: Planned, store: Store, config: Config) -> str:
    """Scenes, bytes, requests, processing units and time of a site's run in one line; costs are upper bounds.

    What is already in the store is not counted as fetched; pixels are not checked here.
    """
    grid = planned.grid
    items = [item for scene in planned.scenes for item in scene.items]
    pixels = grid.width * grid.height * sum(1.0 if band in _FINE else 0.25 for band in BANDS) * len(items)
    seconds = _SECONDS_PER_SITE + pixels / 1e6 * _SECONDS_PER_MEGAPIXEL
    if copying(config.source):
        lacking = [item for item in items if not held(store, item, grid, BANDS)]
        source = sources.load(config.source.kind)
        cost = sum((source.price(item, BANDS, grid) for item in lacking), NOTHING)
        seconds += (cost.requests * _SECONDS_PER_REQUEST) / config.source.max_concurrent
        seconds += cost.size_bytes / _BYTES_PER_SECOND
        units = f", {cost.processing_units:,.0f} processing units" if cost.processing_units else ""
        preset = PRESETS.get(config.source.preset or "")
        locked = preset is not None and preset.pixels_need_account
        account = "; its pixels need an account: set source.kind: sentinelhub" if locked else ""
        fetched = (
            f"{len(lacking)} of {len(items)} items to fetch: at most {cost.size_bytes / 1e6:,.0f} MB in "
            f"{cost.requests:,} requests{units}{account}"
        )
    else:
        fetched = "nothing to fetch (local archive)"
    return (
        f"{len(planned.scenes)} scenes ({len(planned.refused)} refused), EPSG:{grid.epsg}, "
        f"{grid.width} x {grid.height} px, {fetched}, about {max(seconds / 60, 0.1):.1f} min on one worker"
    )
