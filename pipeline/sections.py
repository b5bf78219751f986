"""The sections of config.yaml, one frozen record per stage; each refuses keys it does not know.

Every number of science has its default, its unit and its reason here, and nowhere else. A site file
cannot change them; a configuration file can, and its hash is in the manifest. "Science 2.1" in a comment is
section 2.1 of docs/science.md.
"""

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from pipeline import presets
from pipeline.printable import wrong_address


def _real_day(month_day: str) -> str:
    try:
        dt.date.fromisoformat(f"2000-{month_day}")
    except ValueError:
        raise ValueError(f"{month_day!r} is not a day of the year; write month-day, e.g. '04-01'") from None
    return month_day


_HOST = re.compile(r"^.*@|[?#].*$")
"""What is no host, and may be secret."""
MonthDay = Annotated[str, AfterValidator(_real_day)]
Window = tuple[MonthDay, MonthDay]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
BANDS = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")
"""Common names of the bands that are measured."""


class Section(BaseModel):
    """A part of the configuration: frozen, and it refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SourceConfig(Section):
    """Where scenes come from."""

    kind: Literal["stac", "sentinelhub", "archive", "simulated"] = "stac"
    """A STAC API or static catalogue; a deployment of Sentinel Hub, whose credentials are in the environment
    (SH_CLIENT_ID, SH_CLIENT_SECRET) or in the sentinelhub package's own profile (SH_PROFILE); a folder of SAFE products
    or of STAC items beside their files; or the seeded archive that ``stockline simulate`` writes."""
    preset: str | None = None
    """An archive known by name (pipeline/presets.py), which says url, collection, sign_url, raw_dn, hosts and
    max_concurrent where these are not given. None: ``url`` names the archive."""
    url: str = presets.PRESETS[presets.DEFAULT].url
    """STAC API address, or a static catalog.json by path or URL; of Sentinel Hub the deployment's address:
    https://sh.dataspace.copernicus.eu or https://services.sentinel-hub.com; of an archive its folder."""
    collection: str | None = "sentinel-2-l2a"
    """Collection asked of an API; a static catalog is read whole."""
    sign_url: str | None = presets.PRESETS[presets.DEFAULT].sign_url
    """Address that issues the read token of a collection; None when hrefs are public."""
    token_url: str | None = None
    """Address that issues the tokens of Sentinel Hub; None: that of the deployment. No other host sees the secret."""
    max_cloud_percent: float = Field(60.0, ge=0, le=100)
    """Scenes the provider calls cloudier are not fetched (science 6.2)."""
    evidence: Literal["copy", "reference"] | None = None
    """copy keeps pixels as delivered, reference hash and path; None: reference a local archive, copy another."""
    band_substitutes: dict[str, str] = {}
    """Common name of a missing band -> the band read in its place, e.g. {nir08: nir}; reported."""
    raw_dn: bool | None = True
    """What the provider delivers when its items do not say: True raw DN (offset by processing baseline),
    False offset already applied, None unknown (the pixels decide)."""
    root: str | None = None
    """Folder the files of a local archive lie below; None: that of its catalog.json, or the archive's own."""
    hosts: tuple[str, ...] = ()
    """Further hosts that may be asked for pixels, beside that of ``url``: name, name:port or *.domain."""
    timeout_s: float = Field(60.0, gt=0)
    """Seconds a request may stay without an answer."""
    retries: int = Field(8, ge=0, le=20)
    """Repetitions of a request that failed for now (busy server, broken connection)."""
    patience_s: float = Field(900.0, gt=0)
    """Seconds after which a request is given up, whatever the server wishes."""
    max_concurrent: int = Field(4, ge=1, le=64)
    """Requests under way at a time, all workers together."""
    max_requests_per_minute: int | None = Field(None, ge=1)
    """Requests begun in a minute, all workers together; None: no limit of ours."""
    max_bytes: int | None = Field(None, ge=0)
    """Bytes of pixels a run may fetch; it stops before it would exceed them. None: no limit of ours."""
    max_processing_units: float | None = Field(None, ge=0)
    """Processing units a run may spend; it stops before it would exceed them. None: no limit of ours."""

    @model_validator(mode="before")
    @classmethod
    def _what_the_preset_says(cls, values: object) -> object:
        return presets.filled(values) if isinstance(values, dict) else values

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("kind", "stac") != "stac":
            raise ValueError(f"archives known by name are for source.kind = 'stac', not {info.data['kind']!r}")
        return None if name is None else presets.known(name)

    @field_validator("url", "sign_url")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        wrong = None if address is None else wrong_address(address)
        if wrong is not None:
            raise ValueError(wrong)
        return address

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            wrong = wrong_address(host if "://" in host else f"https://{host}")
            if wrong is not None:
                raise ValueError(f"{_HOST.sub('', host)!r} {wrong}")
        return hosts

    @field_validator("band_substitutes")
    @classmethod
    def _known_bands(cls, substitutes: dict[str, str]) -> dict[str, str]:
        for name in (*substitutes, *substitutes.values()):
            if name not in BANDS:
                raise ValueError(f"{name!r} is not a band; bands are {', '.join(BANDS)}")
        return substitutes


class YearsConfig(Section):
    """Which years are measured."""

    first: int = Field(2017, ge=2015, le=2100)
    """The claims speak of 2016 to 2018; 2016 has one satellite and few level 2A scenes (science 2.7)."""
    last: int = Field(2025, ge=2015, le=2100)
    """Last year, included."""
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
    """Month-day windows for coal, both ends included: no snow, no monsoon, sun within 55 degrees of the zenith."""
    footprint: tuple[Window, ...] = (("06-01", "09-30"),)
    """Month-day windows for occupied ground: crops are green, permanent bare ground is not."""

    @field_validator("stockpile", "footprint")
    @classmethod
    def _ordered(cls, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        for start, end in windows:
            if end < start:
                raise ValueError(f"window {start}..{end} ends before it starts; split it at the turn of the year")
        if not windows:
            raise ValueError("at least one window is needed")
        return windows


class RadiometryConfig(Section):
    """The offset verdict from pixels (science 2.1); counts are DN."""

    low_dn: int = Field(850, gt=0)
    """Below this no pixel lies when +1000 is in the data, but for noise over water."""
    absent_share: Share = 0.005
    """Share of valid pixels below low_dn from which the offset is certainly not in the data (science 2.1)."""
    present_share: Share = 0.0005
    """Share below which the offset may be in the data."""
    present_dark_dn: int = Field(1700, gt=0)
    """Darkest half per cent at or below this: dark ground carrying the offset (reflectance <= 0.07)."""
    dark_floor_dn: int = Field(-300, le=0)
    """Darkest half per cent below this: no surface and no atmospheric correction is 0.03 below zero."""
    clipped_share: Share = 0.02
    """Share of blue pixels at 1 DN, where unsigned files stop: land that lost 1000 twice, not a few black shadows."""
    level_floor_dn: int = Field(20, ge=0)
    """First quartile of clear blue below this is no land: the darkest forest seen has 200."""
    level_ceiling_dn: int = Field(1500, gt=0)
    """Above this, without the offset, it is haze or cloud: dry soil has 1200 (science 1.1)."""
    level_min_share: Share = 0.10
    """Share of valid pixels that must be clear for that level: gaps in a cloud are its edges, not ground."""
    stack_tolerance: Positive = 0.05
    """Half of the 0.1 step: the hypothesis refuted must lie farther than this from the other scenes' median."""
    max_drift: Positive = 0.01  # of steady ground in a year (science 2.6): a sixth of coal's brightness limit
    stack_spread: Positive = 0.035
    """A hypothesis nearer than this to the other scenes' median may be right; haze and season stay below it."""


class AlignConfig(Section):
    """Registration to the reference scene (science 2.4)."""

    max_shift_m: float = Field(30.0, gt=0)  # scenes of 2015-2016 are off by up to 1.6 px; more is a failed match
    max_residual_m: float = Field(3.0, gt=0)  # 0.3 px (science 2.4)
    max_sigma_m: float = Field(1.5, gt=0)  # standard error per axis; 0.15 px more make a gain of their own


class StockpileConfig(Section):
    """Coal score, persistence and outline (science 1.4, 1.7, 6.7-6.9). Reflectance is 0-1."""

    brightness_max_hard: Positive = 0.105
    """Mean of blue, green, red and nir of what may be hard coal, a third of bright ground mixed in or on a sunlit
    slope: anthracite has 0.04, bituminous coal on a bright day 0.07 (science 1.1), a third more in the sun."""
    brightness_max_lignite: Positive = 0.125  # the same for lignite; at 0.14 leafless wood joins it
    swir16_min: float = 0.018
    """Darker is water or full shadow (science 1.3)."""
    swir16_max_hard: Positive = 0.24
    """Brighter is not mostly coal, even where a pixel of 20 m holds half of a small pile."""
    swir16_max_lignite: Positive = 0.32
    """The same for lignite: its prior is 0.17, a quarter more on a bright day."""
    mndwi_max: float = 0.1
    """(green - swir16) / (green + swir16): water lies above (science 1.3); noise of dark coal stays below."""
    ndvi_max_hard: float = 0.30
    """Vegetation lies above, also mixed with a pile at its edge."""
    ndvi_max_lignite: float = 0.35  # lignite itself lies at 0.17 (science 1.1)
    score_slope: Positive = 0.8
    """Slope of the logarithm of the odds of coal; calibrated on implants (docs/accuracy.md)."""
    score_shift: float = -0.4
    """Shift of the same."""
    score_listed: Share = 0.4
    """Probability of coal from which an object is listed, as a candidate."""
    score_counted: Share = 0.7
    """Probability from which it is counted (tier probable)."""
    persistence_seed: Share = 0.6
    """Share of clear dates an object's core looks like coal: roofs and tar fall to half or less (science 1.6)."""
    persistence_grow: Share = 0.35
    """Share its edge needs (hysteresis, science 6.7)."""
    min_detect_px: int = Field(6, ge=1)
    """Smallest core of an object; the outline round it is a good part larger."""
    min_measure_px: int = Field(20, ge=1)
    """Smallest object measured and counted: below 0.2 ha presence only (science 5)."""
    water_share_max: Share = 0.3
    """Ground seen as water on more of its clear dates is water, not coal."""
    shore_px: int = Field(2, ge=0)
    """Ground this near to water is not looked at: mixed pixels of quay and water look like coal, and the
    20 m bands mix two pixels of 10 m."""
    outline_level: float = Field(0.5, gt=0, lt=1)
    """Half-way contour: unbiased for a symmetric point spread (science 1.7)."""
    min_contrast_sigma: Positive = 5.0
    """Piles fainter than this against their background are not outlined (science 6.9)."""
    min_clear_share: Share = 0.95
    """Share of the pile's surroundings that must be clear on a date for an outline."""

    @model_validator(mode="after")
    def _ordered(self) -> "StockpileConfig":
        if self.persistence_grow > self.persistence_seed:
            raise ValueError(
                f"persistence_grow ({self.persistence_grow}) is above persistence_seed ({self.persistence_seed})"
            )
        return self


class UncertaintyConfig(Section):
    """Interval of one outline (science 3.3)."""

    c: float = Field(0.4, ge=0)
    """Random part, in c * pixel area * sqrt(perimeter / pixel); 0.3 to 0.4 in experiments."""
    sigma_edge_m: float = Field(0.4, ge=0)
    """Part common to the whole outline (threshold, point spread), metres."""
    year_correlation: float = Field(0.6, ge=0, lt=1)
    """Of a pile's errors in two years, times the overlap of its outlines: the ground beside a pile that stays
    is the same in both (science 3.3: 0.3 to 0.6); implants show 0.9, but for dust that comes and goes."""


class VolumeConfig(Section):
    """Bounded volume scenario (science 1.8); off unless asked for."""

    enabled: bool = False
    """Volumes are a model and an order of magnitude, never a headline."""
    repose_deg: float = Field(37.0, gt=0, lt=90)
    """Angle of repose of loose coal, 35 to 40 degrees."""
    height_max_m: tuple[Positive, Positive] = (3.0, 12.0)
    """Lowest and highest plausible top: it dominates the volume."""

    @field_validator("height_max_m")
    @classmethod
    def _ordered(cls, height_max_m: tuple[float, float]) -> tuple[float, float]:
        if height_max_m[1] < height_max_m[0]:
            raise ValueError(f"{height_max_m}: the lower height stands first")
        return height_max_m


class LimitsConfig(Section):
    """What a run refuses, so that a slip of the hand does not fetch a province."""

    max_aoi_km2: float = Field(2500.0, gt=0)
    """The largest camp has 560 km2."""
    block_px: int = Field(512, ge=64, le=4096)
    """Edge of what is computed at once, and so the memory needed."""
    max_scratch_gb: float = Field(20.0, ge=0)
    """Disk space for decoded pixels of a site while it runs; more is not kept, and every pass decodes anew."""
