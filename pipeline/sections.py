"""The sections of config.yaml, one frozen record per stage; each refuses keys it does not know.

Every number of science has its default, its unit and its reason here, and nowhere else. A site file
cannot change them; a configuration file can, and its hash is in the manifest.
"""

import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

MonthDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Window = tuple[MonthDay, MonthDay]


class Section(BaseModel):
    """A part of the configuration: frozen, and it refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceConfig(Section):
    """Where scenes come from."""

    kind: Literal["stac", "simulated"] = "stac"
    url: str = "https://planetarycomputer.microsoft.com/api/stac/v1"
    """STAC API address, or a static catalog.json by path or URL."""
    collection: str | None = "sentinel-2-l2a"
    """Collection asked of an API; a static catalog is read whole."""
    sign_url: str | None = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
    """Address that issues the read token of a collection; None when hrefs are public."""
    max_cloud_percent: float = Field(60.0, ge=0, le=100)
    """Scenes the provider calls cloudier are not fetched (science 6.2)."""
    evidence: Literal["copy", "reference"] | None = None
    """copy keeps the pixels as delivered; reference keeps hash and path. Default: reference for a local
    archive, copy otherwise."""
    band_substitutes: dict[str, str] = {}
    """Common name of a missing band -> the band read in its place, e.g. {nir08: nir}; reported."""
    raw_dn: bool | None = True
    """What the provider delivers when its items do not say: True raw DN (offset by processing baseline),
    False offset already applied, None unknown (the pixels decide)."""
    timeout_s: float = Field(60.0, gt=0)
    retries: int = Field(4, ge=0, le=10)


class YearsConfig(Section):
    """Which years are measured."""

    first: int = Field(2017, ge=2015, le=2100)
    last: int = Field(2025, ge=2015, le=2100)
    baseline: int | None = None
    """Year every other is compared with; None: the first adequate one."""

    @model_validator(mode="after")
    def _ordered(self) -> "YearsConfig":
        if self.last < self.first:
            raise ValueError(f"last ({self.last}) is before first ({self.first})")
        if self.baseline is not None and not self.first <= self.baseline <= self.last:
            raise ValueError(f"baseline ({self.baseline}) is outside {self.first}-{self.last}")
        return self

    @property
    def all(self) -> range:
        """Every year, first to last."""
        return range(self.first, self.last + 1)


class WindowsConfig(Section):
    """Days of the year that are compared (science 2.7): dry, snow-free and high sun for coal, growing season."""

    stockpile: tuple[Window, ...] = (("04-01", "06-15"), ("09-01", "10-20"))
    footprint: tuple[Window, ...] = (("06-01", "09-30"),)

    @field_validator("stockpile", "footprint")
    @classmethod
    def _ordered(cls, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        for start, end in windows:
            if end < start:
                raise ValueError(f"window {start}..{end} ends before it starts")
        if not windows:
            raise ValueError("at least one window is needed")
        return windows


class RadiometryConfig(Section):
    """The offset verdict from pixels (science 2.1); counts are DN."""

    low_dn: int = 850
    """Below this no pixel lies when +1000 is in the data, but for noise over water."""
    absent_share: float = 0.005
    """Share of valid pixels below low_dn from which the offset is certainly not in the data (science 2.1)."""
    present_share: float = 0.0005
    """Share below which the offset may be in the data."""
    present_dark_dn: int = 1700
    """Darkest half per cent at or below this: dark ground carrying the offset (reflectance <= 0.07)."""
    stack_tolerance: float = 0.05
    """Half of the 0.1 step: a scene nearer to the other scenes' median than this carries their offset."""
    stack_spread: float = 0.035
    """Undecided scenes farther than this from both hypotheses are quarantined."""


class ClearConfig(Section):
    """Clear mask (science 2.2, 2.3)."""

    cloud_dilate_m: float = Field(100.0, ge=0)
    shadow_dilate_m: float = Field(60.0, ge=0)
    shadow_reach_m: float = Field(8000.0, ge=0)
    """Longest shadow looked for behind a cloud: 5 km cloud top at 58 deg zenith."""
    max_sun_zenith_deg: float = Field(55.0, gt=0, le=90)
    """Lower sun leaves grey slopes in grazing light that look like coal (science 1.6)."""
    min_clear_fraction: float = Field(0.10, ge=0, le=1)
    """Scenes clearer than this over the AOI are used; below it registration has nothing to hold on."""
    dark_protect_share: float = Field(0.6, ge=0, le=1)
    """A pixel dark on this share of cloud-free dates is never removed by a shadow flag alone (science 2.3)."""


class AlignConfig(Section):
    """Registration to the reference scene (science 2.4)."""

    max_shift_m: float = Field(30.0, gt=0)
    """Scenes of 2015-2016 are off by up to 1.6 px; more is a failed match."""
    max_residual_m: float = Field(3.0, gt=0)
    """0.3 px (science 6)."""


class StockpileConfig(Section):
    """Coal score, persistence and outline (science 1.4, 1.7, 6.7-6.9). Reflectance is 0-1."""

    brightness_max_hard: float = 0.065
    brightness_max_lignite: float = 0.10
    swir16_min: float = 0.025
    swir16_max_hard: float = 0.14
    swir16_max_lignite: float = 0.24
    swir22_max_hard: float = 0.14
    swir22_max_lignite: float = 0.22
    nd_swir_max_hard: float = 0.30
    nd_swir_max_lignite: float = 0.40
    visible_slope_max_hard: float = 0.18
    visible_slope_max_lignite: float = 0.25
    nbr2_abs_max_hard: float = 0.13
    nbr2_abs_max_lignite: float = 0.15
    mndwi_max: float = 0.0
    ndvi_max: float = 0.15
    noise: float = 0.004
    """Standard deviation of surface reflectance of one dark pixel on one date (science 1.4)."""
    persistence_seed: float = 0.6
    persistence_grow: float = 0.35
    min_detect_px: int = 10
    """Smallest object listed: 0.1 ha (science 6)."""
    min_measure_px: int = 20
    """Smallest object measured and counted: below 0.2 ha presence only (science 5)."""
    water_share_max: float = 0.3
    """Ground seen as water on more of its clear dates is water, not coal."""
    outline_level: float = Field(0.5, gt=0, lt=1)
    """Half-way contour: unbiased for a symmetric point spread (science 1.7)."""
    min_contrast_sigma: float = 5.0
    """Piles fainter than this against their background are not outlined (science 6.9)."""
    min_clear_share: float = 0.95
    """Share of the pile's surroundings that must be clear on a date for an outline."""


class FootprintConfig(Section):
    """Persistent non-vegetated ground (science 3.4)."""

    ndvi_max_bare: float = 0.30
    bare_share: float = 0.60
    min_px: int = 10
    min_pixel_dates: int = Field(3, ge=2)
    """Clear dates a pixel needs: of three in a season one lies in the green weeks."""
    dark_brightness: float = 0.10
    """Ground darker than this is classed dark_ground (spoil, coal, tar), else bare_or_built."""


class BoundaryConfig(Section):
    """Zones and certain change (science 3.4)."""

    rings_m: tuple[float, float, float] = (1000.0, 3000.0, 10000.0)
    sigma_registration_m: float = 2.0
    sigma_edge_m: float = 2.0


class UncertaintyConfig(Section):
    """Interval of one outline (science 3.3)."""

    c: float = 0.4
    sigma_edge_m: float = 1.0


class StatsConfig(Section):
    """Verdicts (design, contract 3)."""

    fdr_q: float = Field(0.10, gt=0, lt=1)
    min_trend_years: int = Field(5, ge=5)
    """With four years Mann-Kendall can never reach p < 0.05 (science finding 10)."""


class VolumeConfig(Section):
    """Bounded volume scenario (science 1.8); off unless asked for."""

    enabled: bool = False
    repose_deg: float = 37.0
    height_max_m: tuple[float, float] = (3.0, 12.0)


class LimitsConfig(Section):
    """What a run refuses, so that a slip of the hand does not fetch a province."""

    max_aoi_km2: float = Field(2500.0, gt=0)
    block_px: int = Field(1024, ge=64, le=4096)


def in_windows(day: dt.date, windows: tuple[Window, ...]) -> bool:
    """Whether a day of any year lies in one of the month-day windows, both ends included."""
    return any(start <= day.strftime("%m-%d") <= end for start, end in windows)
