"""The section ``clear`` of config.yaml: what hides the ground, on one date and against its own history.

As in :mod:`pipeline.sections`, every number has its default, its unit and its reason here, and nowhere else.
"""

from typing import Literal

from pydantic import Field

from pipeline.sections import Positive, Section, Share


class ClearConfig(Section):
    """Clear mask (science 2.2, 2.3, 2.6)."""

    cloud_dilate_m: float = Field(100.0, ge=0)
    """Around clouds; a missed cloud edge hurts more than a lost pixel (science 2.3)."""
    shadow_dilate_m: float = Field(60.0, ge=0)
    """Around suspected cloud shadow (science 2.3)."""
    shadow_reach_m: float = Field(8000.0, ge=0)
    """Longest shadow looked for behind a cloud: 5 km cloud top at 58 deg zenith."""
    max_sun_zenith_deg: float = Field(55.0, gt=0, le=90)
    """Lower sun leaves grey slopes in grazing light that look like coal (science 1.6)."""
    min_clear_fraction: float = Field(0.10, ge=0, le=1)
    """Scenes clearer than this over the AOI are used; below it registration has nothing to hold on."""
    dark_protect_share: float = Field(0.6, ge=0, le=1)
    """A pixel dark on this share of cloud-free dates is never removed as shadow (science 2.3)."""
    max_veil: Positive = 0.043
    """Haze over a scene's darkest ground (blue - 0.5 red) above which it is not used: clear scenes have 0.003 to
    0.021; at 0.043 the darkest anthracite is lifted to brightness_max_hard: no coal can be seen (science 2.3)."""
    history_min_dates: int = Field(4, ge=3)
    """Usable dates of the year a pixel needs to be judged by its history: the median of three others bears one
    bad one (science 2.3)."""
    history_veil: Positive = 0.03
    """Blue above the other dates' that is cloud or haze: what lifts anthracite (V 0.042) by 0.021 (science 2.3)."""
    history_shade: Share = 0.25
    """Share of nir and of swir16 missing against the other dates that is shadow: full shadow lacks two thirds, light
    on a level field changes by less from one date to the next (science 2.3)."""
    dem: str | None = None
    """Elevation model, a single-band raster in metres in any CRS; None: no mask of terrain light (science 2.6)."""
    min_cos_incidence: float = Field(0.5, ge=0, le=1)
    """Ground with less light passes for coal: 28 % of grey slopes on one date; needs ``dem`` (science 2.6)."""
    without_scl: Literal["spectral", "csmask"] = "spectral"
    """Where the archive has no scene classes: cloud and shadow by colour, or by the trained mask of the extra
    ``cloudmask`` (science 2.3)."""
