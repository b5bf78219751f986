"""Configuration and site -> the rules the models take. Pure; the one place where rank and limits meet."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.footprint import FootprintRules
from models.stockpile import ObjectRules, ScoreRules
from pipeline.config import Config, in_windows, window_parts
from pipeline.confounding import SceneFacts
from pipeline.findings import PreparedScene, YearDates
from pipeline.types import Site

UNASSESSED_RANKS = {
    "unknown": "the rank of the site's coal is not known, and what separates coal from asphalt and spoil depends on it",
}
"""Coal ranks whose stock is listed but not assessed, and why."""
WHOLE_SEEN = 0.95
"""A zone seen to this share is measured whole; down to ``adequate_fraction`` its year is partial."""


@dataclass(frozen=True)
class SiteRules:
    """Object and footprint rules of a site."""

    objects: ObjectRules
    ground: FootprintRules


def score_rules(site: Site, config: Config) -> ScoreRules:
    """Return the score's limits for the rank of a site's coal; ``none`` is looked at as hard coal.

    A site without a coal role is measured all the same: what is found there is the false-alarm rate.
    """
    s = config.stockpile
    wide = site.coal_rank in ("lignite", "unknown")
    return ScoreRules(
        brightness_max=s.brightness_max_lignite if wide else s.brightness_max_hard,
        swir16_min=s.swir16_min,
        swir16_max=s.swir16_max_lignite if wide else s.swir16_max_hard,
        mndwi_max=s.mndwi_max,
        ndvi_max=s.ndvi_max_lignite if wide else s.ndvi_max_hard,
    )


def score_rank(site: Site) -> str:
    """Rank an object is held against; ``none`` is looked at as hard coal."""
    return "hard" if site.coal_rank == "none" else site.coal_rank


def site_rules(config: Config) -> SiteRules:
    """Return the object and footprint rules."""
    s, f = config.stockpile, config.footprint
    return SiteRules(
        ObjectRules(
            s.persistence_seed,
            s.persistence_grow,
            s.min_detect_px,
            # Ground seen too seldom still belongs to its object: whether the year can be judged is asked of it whole.
            max(2, config.min_dates // 2),
            s.water_share_max,
            s.shore_px,
        ),
        FootprintRules(f.ndvi_max_bare, f.bare_share, s.water_share_max, f.min_px, f.min_pixel_dates),
    )


def year_dates(year: int, scenes: Sequence[PreparedScene], config: Config) -> YearDates:
    """Return the days of a year's used scenes in each kind of window, and their number in each part of it."""
    days = [s.stored.scene.date for s in scenes if s.stored.scene.date.year == year]
    kinds = config.windows.stockpile, config.windows.footprint
    found = [tuple(d.timetuple().tm_yday for d in days if in_windows(d, windows)) for windows in kinds]
    parts = [tuple(sum(in_windows(d, (p,)) for d in days) for p in window_parts(windows)) for windows in kinds]
    return YearDates(year, *found, *parts)


def scene_facts(scenes: Sequence[PreparedScene]) -> dict[int, list[SceneFacts]]:
    """Return what the catalogue says of the used scenes, by year."""
    found: dict[int, list[SceneFacts]] = {}
    for prepared in scenes:
        scene = prepared.stored.scene
        facts = SceneFacts(scene.platform, scene.processing_baseline, scene.relative_orbit)
        found.setdefault(scene.date.year, []).append(facts)
    return found
